"""Sealing: everything comes back, and nothing that was touched does."""

import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isthmus.errors import KeysError, StoreError
from isthmus_client.vault import (
    Keyring,
    create_keys,
    load_keys,
    pseudonym,
    pseudonyms,
    seal,
    unseal,
)
from isthmus_client.vault.key_files import KEYRING, PLATFORM_KEY
from isthmus_client.vault.keyring import ROLES
from isthmus_client.vault.sealing import CHUNK, HEADER, TAG

KEY = os.urandom(32)
keys = st.binary(min_size=32, max_size=32)
roles = st.text(max_size=20)
REFUSED = (KeysError, StoreError)


@given(keys, roles, st.binary(max_size=4_000))
def test_any_bytes_come_back_and_two_sealings_differ(key, role, data):
    one, other = seal(key, role, data), seal(key, role, data)
    assert unseal(key, role, one) == unseal(key, role, other) == data
    assert one != other
    assert len(one) == HEADER + len(data) + TAG


@settings(max_examples=12)
@given(st.integers(0, 3), st.integers(-2, 2), st.binary(min_size=1, max_size=64))
def test_sizes_about_the_chunks_border_come_back(chunks, off, pattern):
    size = max(0, chunks * CHUNK + off)
    data = (pattern * (size // len(pattern) + 1))[:size]
    assert unseal(KEY, "r", seal(KEY, "r", data)) == data


@given(st.binary(max_size=300), st.data())
def test_every_flipped_bit_is_refused(data, drawn):
    sealed = bytearray(seal(KEY, "r", data))
    at = drawn.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << drawn.draw(st.integers(0, 7))
    with pytest.raises(REFUSED):
        unseal(KEY, "r", bytes(sealed))


def test_every_single_byte_counts():
    sealed = seal(KEY, "r", b"eleven byte")
    for at in range(len(sealed)):
        with pytest.raises(REFUSED):
            unseal(KEY, "r", sealed[:at] + bytes([sealed[at] ^ 0x80]) + sealed[at + 1 :])


@settings(max_examples=30)
@given(st.integers(0, CHUNK + 500), st.data())
@example(CHUNK, None)
def test_every_cut_and_every_added_byte_is_refused(size, drawn):
    sealed = seal(KEY, "r", bytes(size))
    length = len(sealed) - TAG if drawn is None else drawn.draw(st.integers(0, len(sealed) - 1))
    with pytest.raises(REFUSED):
        unseal(KEY, "r", sealed[:length])
    added = b"\0" if drawn is None else drawn.draw(st.binary(min_size=1, max_size=40))
    with pytest.raises(REFUSED):
        unseal(KEY, "r", sealed + added)


@given(st.binary(max_size=100), keys, keys, roles, roles)
def test_only_the_same_key_and_role_open_it(data, key, other_key, role, other_role):
    sealed = seal(key, role, data)
    if key != other_key:
        with pytest.raises(KeysError):
            unseal(other_key, role, sealed)
    if role != other_role:
        with pytest.raises(StoreError):
            unseal(key, other_role, sealed)


@given(st.binary(max_size=300))
def test_rubbish_is_refused(data):
    with pytest.raises(REFUSED):
        unseal(KEY, "r", data)


@given(keys, st.lists(st.text(max_size=8), max_size=20))
def test_pseudonyms_are_equal_exactly_where_ids_are(key, users):
    found = pseudonyms(key, users)
    assert len(set(found)) == len(set(users))
    assert [pseudonym(key, user) for user in users] == found
    assert all(len(each) == 32 for each in found)


@given(st.lists(keys, min_size=4, max_size=4))
def test_no_key_shows_in_a_keyring(drawn):
    ring = Keyring(*drawn)
    shown = f"{ring!r}{ring}{ring.key_id}"
    for key in drawn:
        assert key.hex() not in shown
        assert repr(key)[2:-1] not in shown


@settings(max_examples=40)
@given(st.sampled_from([PLATFORM_KEY, KEYRING]), st.floats(0, 0.999), st.binary(max_size=3))
def test_no_key_is_in_what_is_said_of_damage(tmp_path_factory, name, place, put):
    folder = tmp_path_factory.mktemp("platform") / "keys"
    ring = create_keys(folder)
    platform_key = (folder / PLATFORM_KEY).read_text().split("key ")[1][:64]
    whole = (folder / name).read_bytes()
    at = int(place * len(whole))
    (folder / name).write_bytes(whole[:at] + put + whole[at + 1 :])
    said = repr(ring)
    try:
        said += repr(load_keys(folder))
    except KeysError as error:
        said += everything_said(error)
    assert platform_key not in said
    for role in ROLES:
        assert getattr(ring, role).hex() not in said
        assert repr(getattr(ring, role))[2:-1] not in said


def everything_said(error):
    """The texts of an error and of all that it came of."""
    text = ""
    while error is not None:
        text += f"{error!r}{error}{getattr(error, 'hint', '')}"
        error = error.__cause__ or error.__context__
    return text


def test_no_data_key_is_in_either_file(tmp_path):
    ring = create_keys(tmp_path / "keys")
    texts = [(tmp_path / "keys" / name).read_text() for name in (PLATFORM_KEY, KEYRING)]
    platform_key = texts[0].split("key ")[1][:64]
    assert platform_key not in texts[1]
    for role in ROLES:
        assert getattr(ring, role).hex() not in "".join(texts)
