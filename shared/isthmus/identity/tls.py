"""TLS contexts of both sides: version 1.3 and nothing else, our authority and no other.

The one module of identities that knows of the network; it opens nothing itself.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from isthmus.errors import IdentityError


def server_context(
    cert_path: Path, key_path: Path, ca_path: Path, *, require_client: bool
) -> ssl.SSLContext:
    """What a listener shows, and whom it lets in.

    Args:
        cert_path: PEM, the server's certificate and its authority's.
        key_path: PEM, of mode 0600.
        ca_path: PEM of the authority whose platforms may come in.
        require_client: whether only holders of a certificate of it may; else none is asked for.

    Guarantees:
        Nothing below TLS 1.3; no session outlives its connection, so that every connection shows a
        certificate that is in force.

    Raises:
        IdentityError: a file is missing or damaged, or certificate and key do not belong together.
    """
    context = _bare(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    _load(context, cert_path, key_path)
    if require_client:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, _read(ca_path), str(ca_path))
    return context


def client_context(
    ca_pem: bytes, cert_path: Path | None = None, key_path: Path | None = None
) -> ssl.SSLContext:
    """Whom a platform speaks to, and what it shows.

    Args:
        ca_pem: PEM of the only authority that it trusts; the system's are not asked.
        cert_path: PEM; None = it shows none, as before it has joined.
        key_path: of the certificate.

    Guarantees:
        Nothing below TLS 1.3; the server's name or address must stand in its certificate.

    Raises:
        IdentityError: a file is missing or damaged, or certificate and key do not belong together.
    """
    context = _bare(ssl.PROTOCOL_TLS_CLIENT)
    _trust(context, ca_pem, "the authority's certificate")
    if cert_path is not None and key_path is not None:
        _load(context, cert_path, key_path)
    return context


def _bare(protocol: int) -> ssl.SSLContext:
    """A context of TLS 1.3 that trusts nobody yet."""
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def _load(context: ssl.SSLContext, cert_path: Path, key_path: Path) -> None:
    try:
        context.load_cert_chain(cert_path, key_path, password=_no_password)
    except OSError as error:  # ssl.SSLError is one
        raise IdentityError(
            f"{cert_path} and {key_path} cannot be used: {error.strerror or error}"
        ) from error


def _trust(context: ssl.SSLContext, ca_pem: bytes, where: str) -> None:
    try:
        context.load_verify_locations(cadata=ca_pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise IdentityError(f"{where} is no certificate") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise IdentityError(f"{path} cannot be read: {error.strerror}") from error


def _no_password() -> str:
    """Our keys have none: without this, OpenSSL would ask at the terminal."""
    return ""
