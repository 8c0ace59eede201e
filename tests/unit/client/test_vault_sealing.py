import os
import stat

import pytest

from isthmus.errors import KeysError, StoreError
from isthmus_client.vault import read_sealed, seal, unseal, write_sealed
from isthmus_client.vault.sealing import CHUNK, HEADER, TAG

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 17])
def test_what_is_sealed_comes_back(size):
    data = os.urandom(size)
    sealed = seal(KEY, "manifest", data)
    assert unseal(KEY, "manifest", sealed) == data
    chunks = max(1, -(-size // CHUNK))
    assert len(sealed) == HEADER + size + chunks * TAG


def test_nothing_of_it_is_readable():
    data = b"user-0071 bought a kettle " * 1_000
    assert b"user-0071" not in seal(KEY, "r", data)


def test_two_sealings_share_neither_key_nor_nonce():
    one, other = (seal(KEY, "r", bytes(1_000)) for _ in range(2))
    assert one[24:] != other[24:]
    assert one[HEADER:] != other[HEADER:]


def test_another_key_is_told_from_altered_bytes():
    sealed = seal(KEY, "r", b"seventeen bytes..")
    with pytest.raises(KeysError, match="other keys"):
        unseal(OTHER, "r", sealed)
    with pytest.raises(StoreError, match="'s' was altered, cut, or is something else"):
        unseal(KEY, "s", sealed)
    with pytest.raises(StoreError, match="nothing that was sealed here"):
        unseal(KEY, "r", b"PAR1" + bytes(100))


@pytest.mark.parametrize("length", [0, 7, HEADER, HEADER + TAG - 1])
def test_a_stump_is_refused(length):
    with pytest.raises(StoreError):
        unseal(KEY, "r", seal(KEY, "r", b"")[:length])


def chunks_of(sealed):
    step = CHUNK + TAG
    body = sealed[HEADER:]
    return sealed[:HEADER], [body[at : at + step] for at in range(0, len(body), step)]


@pytest.mark.parametrize(
    "moved",
    [
        lambda c: [c[1], c[0], c[2]],  # two changed places
        lambda c: c[:2],  # the last is gone
        lambda c: c[:1],
        lambda c: [c[0], c[2]],  # one in the middle is gone
        lambda c: [*c, c[2]],  # one was added
        lambda c: [c[0], c[0], *c[1:]],
        lambda c: c[3:],  # none is left
    ],
)
def test_chunks_cannot_be_moved_added_or_taken_away(moved):
    head, chunks = chunks_of(seal(KEY, "r", bytes(3 * CHUNK)))
    assert len(chunks) == 3
    assert unseal(KEY, "r", b"".join([head, *chunks])) == bytes(3 * CHUNK)
    with pytest.raises(StoreError):
        unseal(KEY, "r", b"".join([head, *moved(chunks)]))


def test_a_chunk_of_another_sealing_is_refused():
    head, mine = chunks_of(seal(KEY, "r", bytes(2 * CHUNK)))
    _, theirs = chunks_of(seal(KEY, "r", bytes(2 * CHUNK)))
    with pytest.raises(StoreError):
        unseal(KEY, "r", b"".join([head, mine[0], theirs[1]]))


def test_files_are_the_owners_alone(tmp_path):
    path = tmp_path / "store" / "manifest"
    before = os.umask(0)
    try:
        write_sealed(path, KEY, "manifest", b"generation 3")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_sealed(path, KEY, "manifest") == b"generation 3"
    assert list(path.parent.iterdir()) == [path]


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "manifest"
    with pytest.raises(StoreError, match="manifest cannot be read"):
        read_sealed(path, KEY, "manifest")
    write_sealed(path, KEY, "manifest", b"generation 3")
    with pytest.raises(KeysError, match=f"{path}: ") as refused:
        read_sealed(path, OTHER, "manifest")
    assert "backup" in refused.value.hint
    with pytest.raises(StoreError, match=f"{path}: "):
        read_sealed(path, KEY, "segment")
    with pytest.raises(StoreError, match="cannot be written"):
        write_sealed(path / "below a file", KEY, "r", b"")
