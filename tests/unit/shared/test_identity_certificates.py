"""What the authority signs, for whom and how long, and what it does not."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from identities import NOW, authority, common_authority, site

from isthmus.errors import IdentityError, KeysError
from isthmus.identity import (
    Authority,
    certificate_fingerprint,
    certificate_request,
    new_tls_key,
    platform_of,
    require_issued,
)
from isthmus.identity.certificates import common_name, load_certificate


def test_a_platforms_certificate_says_its_name_and_nothing_more():
    own, ca = site(), common_authority()
    pem = ca.issue_platform(own.csr, "books", 12, serial=77, now=NOW)
    found = platform_of(pem)
    assert (found.platform, found.serial) == ("books", 77)
    assert found.not_after == NOW + timedelta(hours=12)
    loaded = load_certificate(pem)
    assert loaded.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert loaded.public_key() == own.key.public_key()
    assert found.fingerprint == certificate_fingerprint(pem)
    assert platform_of(loaded.public_bytes(Encoding.DER)) == found
    usage = loaded.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not loaded.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_every_certificate_has_its_own_serial():
    own, ca = site(), common_authority()
    found = {platform_of(ca.issue_platform(own.csr, "books", 1)).serial for _ in range(8)}
    assert len(found) == 8


def test_expiry_is_a_moment():
    found = platform_of(common_authority().issue_platform(site().csr, "books", 1, now=NOW))
    assert not found.expired(NOW + timedelta(minutes=59, seconds=59))
    assert found.expired(NOW + timedelta(hours=1))


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf"), 168.1])
def test_a_platforms_certificate_is_short_lived(hours):
    with pytest.raises(IdentityError, match="hours"):
        common_authority().issue_platform(site().csr, "books", hours)


@pytest.mark.parametrize("name", ["toys", "BOOKS", "books ", "", "../books", "b\u043e\u043eks"])
def test_a_request_under_another_name_is_refused(name):
    with pytest.raises(IdentityError):
        common_authority().issue_platform(site().csr, name, 1)


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a/b"])
def test_no_request_is_made_for_an_odd_name(name):
    with pytest.raises(IdentityError, match="no platform's name"):
        certificate_request(name, new_tls_key())


def csr(key, *names):
    subject = x509.Name(list(names) or [x509.NameAttribute(NameOID.COMMON_NAME, "books")])
    built = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return built.public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["P-384", "RSA"],
)
def test_a_key_of_another_kind_gets_no_certificate(key):
    with pytest.raises(IdentityError, match="P-256"):
        common_authority().issue_platform(csr(key), "books", 1)


def test_a_request_with_more_than_a_name_gets_no_certificate():
    name = x509.NameAttribute(NameOID.COMMON_NAME, "books")
    more = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Books Ltd")
    for names in ((name, more), (name, name), (more,)):
        with pytest.raises(IdentityError, match="is for"):
            common_authority().issue_platform(csr(new_tls_key(), *names), "books", 1)


def test_a_request_that_its_key_did_not_sign_gets_no_certificate():
    der = bytearray(x509.load_pem_x509_csr(site().csr).public_bytes(Encoding.DER))
    der[-1] ^= 1
    pem = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM)
    with pytest.raises(IdentityError, match=r"not signed by its own key|damaged"):
        common_authority().issue_platform(pem, "books", 1)


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN", b"x" * 9_000, b"\xff\xfe"])
def test_what_is_no_request(pem):
    with pytest.raises(IdentityError, match="damaged"):
        common_authority().issue_platform(pem, "books", 1)


def test_a_received_certificate_is_checked_before_it_is_used():
    own, ca = site(), common_authority()
    pem = ca.issue_platform(own.csr, "books", 12, now=NOW)

    def check(certificate, **more):
        values = {"authority_pem": ca.certificate_pem, "name": "books", "key": own.key, "now": NOW}
        return require_issued(certificate, **{**values, **more})

    assert check(pem) == check(pem, key=None) == platform_of(pem)
    for more, said in (
        ({"name": "toys"}, "not for 'toys'"),
        ({"key": new_tls_key()}, "another key"),
        ({"authority_pem": authority().certificate_pem}, "another authority"),
        ({"now": NOW + timedelta(hours=12)}, "expired at 2026-05-04T15:02:01"),
        ({"authority_pem": b"x"}, "no certificate"),
    ):
        with pytest.raises(IdentityError, match=said):
            check(pem, **more)
    with pytest.raises(IdentityError, match="another authority"):
        check(authority().issue_platform(own.csr, "books", 12, now=NOW))


def other_bit(der, at, bit):
    return der[:at] + bytes([der[at] ^ (1 << bit)]) + der[at + 1 :]


def test_a_signature_of_part_of_a_byte_is_refused():
    """DER can leave out a last bit that is zero: the same signature, another fingerprint."""
    while True:  # every other signature ends in such a bit
        sealed = load_certificate(common_authority().issue_platform(site().csr, "books", 1))
        if not sealed.signature[-1] & 1:
            break
    der = sealed.public_bytes(Encoding.DER)
    shorter = other_bit(der, len(der) - len(sealed.signature) - 1, 0)
    x509.load_der_x509_certificate(shorter).verify_directly_issued_by(
        load_certificate(common_authority().certificate_pem)
    )  # so far it passes
    with pytest.raises(IdentityError, match="damaged"):
        require_issued(
            shorter, authority_pem=common_authority().certificate_pem, name="books", key=None
        )


def test_a_certificate_whose_subject_cannot_be_read_is_refused():
    """The library parses it when it is first asked for."""
    der = load_certificate(common_authority().issue_platform(site().csr, "books", 1)).public_bytes(
        Encoding.DER
    )
    odd = other_bit(der, der.rindex(b"\x0c\x05books"), 0)  # a UTF-8 string's tag
    with pytest.raises(IdentityError, match="damaged"):
        load_certificate(odd)


@pytest.mark.filterwarnings("ignore:Parsed a serial number:UserWarning")
def test_a_serial_number_below_zero_is_refused():
    sealed = load_certificate(common_authority().issue_platform(site().csr, "books", 1))
    der, number = sealed.public_bytes(Encoding.DER), sealed.serial_number
    size = number.bit_length() // 8 + 1
    at = der.index(number.to_bytes(size, "big"))
    with pytest.raises(IdentityError, match="damaged"):
        load_certificate(other_bit(der, at, 7))


def test_a_servers_certificate_has_all_hosts_and_the_authority_behind_it():
    ca, key = common_authority(), new_tls_key()
    hosts = ["fed.example.org", "localhost", "192.0.2.7", "::1"]
    pem = ca.issue_server(hosts, key, 24, now=NOW)
    leaf, issuer = x509.load_pem_x509_certificates(pem)
    assert issuer == ca.certificate
    leaf.verify_directly_issued_by(issuer)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each.value) for each in names] == hosts
    assert leaf.public_key() == key.public_key()
    with pytest.raises(IdentityError, match="no platform's"):
        platform_of(pem)


@pytest.mark.parametrize("host", ["", "a b", "host:80", "http://x", "a..b", "-a", "*.a", "ü.de"])
def test_what_is_no_host(host):
    with pytest.raises(IdentityError, match="no host"):
        common_authority().issue_server([host], new_tls_key(), 24)


def test_a_server_needs_a_host_and_a_time():
    with pytest.raises(IdentityError, match="needs a host"):
        common_authority().issue_server([], new_tls_key(), 24)
    with pytest.raises(IdentityError, match="hours"):
        common_authority().issue_server(["localhost"], new_tls_key(), 24 * 399)


def test_nothing_outlives_the_authority():
    ca = common_authority()
    late = ca.certificate.not_valid_after_utc - timedelta(minutes=1)
    found = platform_of(ca.issue_platform(site().csr, "books", 12, now=late))
    assert found.not_after == ca.certificate.not_valid_after_utc


def signed_by(ca, subject, *extensions):
    """A certificate with which the authority's key could be tricked, were it to sign it."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(ca.certificate.subject)
        .public_key(new_tls_key().public_key())
        .serial_number(5)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(hours=1))
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    return builder.sign(ca._key, SHA256()).public_bytes(Encoding.PEM)


CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
BOTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])


def uris(*names):
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(each) for each in names])


@pytest.mark.parametrize(
    ("subject", "extensions"),
    [
        ("books", []),
        ("books", [CLIENT]),
        ("books", [uris("isthmus://platform/books")]),
        ("books", [CLIENT, uris("isthmus://platform/toys")]),
        ("books", [CLIENT, uris("isthmus://platform/books", "isthmus://platform/toys")]),
        ("books", [CLIENT, uris("isthmus://server/books")]),
        ("a/b", [CLIENT, uris("isthmus://platform/a/b")]),
        ("books", [BOTH, uris("isthmus://platform/books")]),
        ("books", [CLIENT, x509.SubjectAlternativeName([x509.DNSName("books")])]),
    ],
)
def test_a_certificate_that_is_no_platforms(subject, extensions):
    pem = signed_by(common_authority(), common_name(subject), *extensions)
    with pytest.raises(IdentityError):
        platform_of(pem)


def test_the_one_that_is():
    pem = signed_by(
        common_authority(), common_name("books"), CLIENT, uris("isthmus://platform/books")
    )
    assert platform_of(pem).platform == "books"


def test_an_authority_in_its_folder(tmp_path):
    folder = tmp_path / "server" / "ca"
    made = Authority.create(folder, "demo")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "ca.key").stat().st_mode & 0o777 == 0o600
    opened = Authority.open(folder)
    assert opened.certificate_pem == made.certificate_pem == (folder / "ca.pem").read_bytes()
    assert opened.fingerprint == made.fingerprint
    pem = opened.issue_platform(site().csr, "books", 1)
    require_issued(pem, authority_pem=made.certificate_pem, name="books")
    assert "PrivateKey" not in repr(made)


def test_a_federation_has_any_name_that_can_be_read(tmp_path):
    made = Authority.create(tmp_path / "ca", "Bücher & Co.")
    assert made.certificate.subject == common_name("Bücher & Co. CA")
    for odd in ("", " ", "x" * 62, "a\nb"):
        with pytest.raises(IdentityError, match="no name for a federation"):
            Authority.create(tmp_path / "other", odd)
    assert not (tmp_path / "other").exists()


def test_an_authority_is_never_replaced(tmp_path):
    made = Authority.create(tmp_path / "ca", "demo")
    with pytest.raises(IdentityError, match="cannot be written") as caught:
        Authority.create(tmp_path / "ca", "other")
    assert "never replaced" in caught.value.hint
    assert Authority.open(tmp_path / "ca").fingerprint == made.fingerprint
    assert [each.name for each in tmp_path.iterdir()] == ["ca"]


def test_an_authority_that_is_missing_damaged_open_or_mixed(tmp_path):
    folder = tmp_path / "ca"
    with pytest.raises(KeysError, match="there is no"):
        Authority.open(folder)
    Authority.create(folder, "demo")
    Authority.create(tmp_path / "other", "demo")
    key, certificate = folder / "ca.key", folder / "ca.pem"
    key.chmod(0o644)
    with pytest.raises(KeysError, match="open to others"):
        Authority.open(folder)
    key.chmod(0o600)
    own = certificate.read_bytes()
    certificate.write_bytes((tmp_path / "other" / "ca.pem").read_bytes())
    with pytest.raises(IdentityError, match="belong together"):
        Authority.open(folder)
    certificate.write_bytes(own[:99])
    with pytest.raises(IdentityError, match="no certificate"):
        Authority.open(folder)
    certificate.unlink()
    with pytest.raises(IdentityError, match="cannot be read"):
        Authority.open(folder)
    certificate.write_bytes(own)
    key.write_bytes(key.read_bytes()[:99])
    with pytest.raises(IdentityError, match="damaged"):
        Authority.open(folder)
