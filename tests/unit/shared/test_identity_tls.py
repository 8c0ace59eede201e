"""Handshakes in memory: TLS 1.3, our authority, the right names, and nobody else."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from identities import authority, site

from isthmus.errors import IdentityError
from isthmus.identity import certificate_request, new_tls_key, platform_of, private_pem
from isthmus.identity.tls import client_context, server_context
from isthmus.secret_files import write_owned


@pytest.fixture(name="ca", scope="module")
def _ca():
    return authority()


def stored(folder, name, certificate, key):
    """A certificate and its key in files."""
    write_owned(folder / f"{name}.key", private_pem(key))
    (folder / f"{name}.pem").write_bytes(certificate)
    return folder / f"{name}.pem", folder / f"{name}.key"


@pytest.fixture(name="files")
def _files(ca, tmp_path):
    key, own = new_tls_key(), site()
    (tmp_path / "ca.pem").write_bytes(ca.certificate_pem)
    return {
        "ca": tmp_path / "ca.pem",
        "server": stored(tmp_path, "server", ca.issue_server(["localhost", "::1"], key, 1), key),
        "books": stored(tmp_path, "books", ca.issue_platform(own.csr, "books", 1), own.key),
    }


def shake(server, client, host="localhost"):
    """Both ends after a handshake and a byte each way; raises what either end refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    left = list(ends)
    for _ in range(6):
        for end in list(left):
            try:
                end.do_handshake()
                left.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not left
    ends[1].write(b"?")
    assert ends[0].read(1) == b"?"
    return ends


def server_of(files, *, require_client=True):
    return server_context(*files["server"], files["ca"], require_client=require_client)


@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_both_sides_know_each_other(ca, files, host):
    client = client_context(ca.certificate_pem, *files["books"])
    at_client, at_server = shake(server_of(files), client, host)
    assert at_client.version() == at_server.version() == "TLSv1.3"
    assert platform_of(at_server.getpeercert(binary_form=True)).platform == "books"


def test_who_has_not_joined_comes_in_only_where_no_certificate_is_asked(ca, files):
    client = client_context(ca.certificate_pem)
    _, at_server = shake(server_of(files, require_client=False), client)
    assert at_server.getpeercert(binary_form=True) is None
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake(server_of(files), client)


def test_a_certificate_of_another_authority_is_refused_on_both_sides(ca, files, tmp_path):
    other, own, key = authority(), site(), new_tls_key()
    foreign = stored(tmp_path, "foreign", other.issue_platform(own.csr, "books", 1), own.key)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake(server_of(files), client_context(ca.certificate_pem, *foreign))
    false = stored(tmp_path, "false", other.issue_server(["localhost"], key, 1), key)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake(
            server_context(*false, files["ca"], require_client=False),
            client_context(ca.certificate_pem),
        )


def test_another_host_is_refused(ca, files):
    with pytest.raises(ssl.SSLError, match="Hostname mismatch"):
        shake(server_of(files), client_context(ca.certificate_pem, *files["books"]), "example.org")


def test_a_platform_is_no_server_and_a_server_no_platform(ca, files):
    books, server = files["books"], files["server"]
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake(
            server_context(*books, files["ca"], require_client=False),
            client_context(ca.certificate_pem),
        )
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake(server_of(files), client_context(ca.certificate_pem, *server))


def test_an_expired_certificate_is_refused(ca, files, tmp_path):
    own = site()
    pem = ca.issue_platform(own.csr, "books", 1, now=datetime.now(UTC) - timedelta(hours=1))
    late = stored(tmp_path, "late", pem, own.key)
    with pytest.raises(ssl.SSLError, match="certificate has expired"):
        shake(server_of(files), client_context(ca.certificate_pem, *late))


def test_a_clock_four_minutes_behind_takes_a_new_certificate(ca, files, tmp_path):
    """A certificate made by a server whose clock is ahead holds where the clock is right."""
    own = site()
    pem = ca.issue_platform(own.csr, "books", 1, now=datetime.now(UTC) + timedelta(minutes=4))
    early = stored(tmp_path, "early", pem, own.key)
    shake(server_of(files), client_context(ca.certificate_pem, *early))


@pytest.mark.parametrize("side", ["server", "client"])
def test_nothing_below_tls_1_3(ca, files, side):
    server, client = server_of(files), client_context(ca.certificate_pem, *files["books"])
    old = server if side == "server" else client
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL"):
        shake(server, client)


def test_files_that_cannot_be_used(ca, files, tmp_path):
    (pem, key), other = files["books"], tmp_path / "other.key"
    write_owned(other, private_pem(new_tls_key()))
    for pair in ((pem, other), (tmp_path / "none.pem", key), (key, key)):
        with pytest.raises(IdentityError, match="cannot be used"):
            client_context(ca.certificate_pem, *pair)
    with pytest.raises(IdentityError, match="no certificate"):
        client_context(b"x")
    with pytest.raises(IdentityError, match="cannot be read"):
        server_context(*files["server"], tmp_path / "none.pem", require_client=True)


def test_an_encrypted_key_asks_nobody_at_the_terminal(ca, tmp_path):
    from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415

    key = new_tls_key()
    pem = ca.issue_platform(certificate_request("books", key), "books", 1)
    paths = stored(tmp_path, "books", pem, key)
    locked = form.BestAvailableEncryption(b"secret")
    paths[1].write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked))
    with pytest.raises(IdentityError, match="cannot be used"):
        client_context(ca.certificate_pem, *paths)
