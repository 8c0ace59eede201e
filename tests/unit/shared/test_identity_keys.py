"""A platform's own keys, their fingerprint, names, and a server's signing key in its files."""

import re

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.supercore.primitives.asymmetric import bytes_to_public_key, public_key_to_bytes

from isthmus.errors import IdentityError, KeysError
from isthmus.identity import (
    PlatformKeys,
    PublicKeys,
    checked_name,
    create_signing_key,
    fingerprint_of,
    is_signed,
    load_signing_key,
    private_pem,
    public_pem,
    public_raw,
    read_public_key,
    same_fingerprint,
)
from isthmus.secret_files import write_owned


@pytest.fixture(name="keys", scope="module")
def _keys():
    return PlatformKeys.fresh()


def test_keys_come_back_as_they_were(keys):
    again = PlatformKeys.from_bytes(keys.to_bytes())
    assert again.public == keys.public
    assert again.signing.private_bytes_raw() == keys.signing.private_bytes_raw()
    assert again.node.private_numbers() == keys.node.private_numbers()
    assert PlatformKeys.fresh().public.fingerprint != keys.public.fingerprint


def test_text_of_keys_tells_the_fingerprint_alone(keys):
    assert str(keys) == f"PlatformKeys({keys.public.fingerprint})" == repr(keys)


def test_the_node_key_is_in_flowers_own_form(keys):
    node = keys.public.node
    assert public_key_to_bytes(bytes_to_public_key(node)) == node
    assert bytes_to_public_key(node).curve.name == "secp384r1"


@pytest.mark.parametrize("cut", [0, 31, 32, 100, -1])
def test_damaged_keys_are_refused(keys, cut):
    with pytest.raises(IdentityError, match="damaged"):
        PlatformKeys.from_bytes(keys.to_bytes()[:cut].rstrip(b"-"))


@pytest.mark.parametrize(
    "node", [ec.generate_private_key(ec.SECP256R1()), Ed25519PrivateKey.generate()]
)
def test_a_node_key_of_another_kind_is_refused(keys, node):
    data = keys.signing.private_bytes_raw() + private_pem(node)
    with pytest.raises(IdentityError, match="P-384"):
        PlatformKeys.from_bytes(data)
    with pytest.raises(IdentityError, match="P-384"):
        PublicKeys(keys.public.signing, public_pem(node.public_key())).require_valid()


@pytest.mark.parametrize("change", [bytes.upper, lambda pem: pem + b"\n", lambda _: b"x" * 2_000])
def test_a_node_key_in_another_form_is_refused(keys, change):
    with pytest.raises(IdentityError, match="node key"):
        PublicKeys(keys.public.signing, change(keys.public.node)).require_valid()


def test_a_signing_key_has_32_bytes(keys):
    keys.public.require_valid()
    with pytest.raises(IdentityError, match="this one 31"):
        PublicKeys(keys.public.signing[:31], keys.public.node).require_valid()


def test_a_fingerprint_covers_both_keys_and_can_be_read_aloud(keys):
    other = PlatformKeys.fresh().public
    own = keys.public
    assert re.fullmatch(r"SHA256:[0-9a-f]{4}(-[0-9a-f]{4}){15}", own.fingerprint)
    mixed = {PublicKeys(own.signing, other.node), PublicKeys(other.signing, own.node), own, other}
    assert len({each.fingerprint for each in mixed}) == 4


@pytest.mark.parametrize(
    "said",
    [
        str.upper,
        str.lower,
        lambda text: text[7:],
        lambda text: f" {text[7:].replace('-', ' : ')}\n",
    ],
)
def test_a_fingerprint_is_the_same_however_it_is_written(said):
    fingerprint = fingerprint_of(b"x")
    assert same_fingerprint(fingerprint, said(fingerprint))
    assert not same_fingerprint(said(fingerprint), fingerprint_of(b"y"))
    assert not same_fingerprint(fingerprint, "")
    assert not same_fingerprint(fingerprint, fingerprint[:-1])
    assert not same_fingerprint(fingerprint, "Ünsinn")


@pytest.mark.parametrize("name", ["a", "7-eleven", "Books_1", "x" * 64])
def test_names_of_platforms(name):
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "x" * 65,
        "-a",
        "_a",
        "a b",
        "a/b",
        "..",
        "a.b",
        "bücher",
        "\u0430",
        "a\n",
        "a\0",
        "a%2e",
        7,
    ],
)
def test_odd_names_are_refused_and_shown_in_ascii(name):
    with pytest.raises(IdentityError, match="no platform's name") as caught:
        checked_name(name)
    said = str(caught.value)
    assert said.isascii()
    assert said.isprintable()
    assert len(said) < 100


def test_a_signature_is_the_key_holders_over_this_message():
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    signature = key.sign(b"this")
    assert is_signed(public_raw(key), b"this", signature)
    assert not is_signed(public_raw(key), b"that", signature)
    assert not is_signed(public_raw(other), b"this", signature)
    assert not is_signed(public_raw(key), b"this", b"short")


def test_a_signing_key_in_its_file(tmp_path):
    path = tmp_path / "identity" / "signing.key"
    key = create_signing_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert load_signing_key(path).private_bytes_raw() == key.private_bytes_raw()
    assert read_public_key(tmp_path / "identity" / "signing.key.pub") == public_raw(key)
    with pytest.raises(IdentityError, match="already"):
        create_signing_key(path)
    assert load_signing_key(path).private_bytes_raw() == key.private_bytes_raw()


def test_a_signing_key_that_is_missing_open_or_none(tmp_path):
    path = tmp_path / "signing.key"
    with pytest.raises(KeysError, match=r"there is no .*signing\.key"):
        load_signing_key(path)
    create_signing_key(path)
    path.chmod(0o640)
    with pytest.raises(KeysError, match="open to others"):
        load_signing_key(path)
    write_owned(path, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(IdentityError, match="damaged"):
        load_signing_key(path)
    write_owned(path, private_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(IdentityError, match="another kind"):
        load_signing_key(path)


def test_a_signing_key_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(IdentityError, match="cannot be written"):
        create_signing_key(tmp_path / "file" / "signing.key")


def test_a_public_key_as_digits(tmp_path):
    (tmp_path / "key").write_text("  " + "0F" * 32 + "\n")
    assert read_public_key(tmp_path / "key") == b"\x0f" * 32


@pytest.mark.parametrize("data", [b"", b"0f" * 31, b"\xff" * 9_999])
def test_what_is_no_public_key(tmp_path, data):
    (tmp_path / "key").write_bytes(data)
    with pytest.raises(IdentityError, match="no Ed25519 public key"):
        read_public_key(tmp_path / "key")
    with pytest.raises(IdentityError, match="cannot be read"):
        read_public_key(tmp_path)


def test_a_private_key_or_another_kind_is_no_public_key(tmp_path):
    other = public_pem(ec.generate_private_key(ec.SECP256R1()).public_key())
    for data in (other, private_pem(Ed25519PrivateKey.generate())):
        (tmp_path / "key").write_bytes(data)
        with pytest.raises(IdentityError, match="no Ed25519 public key"):
            read_public_key(tmp_path / "key")
