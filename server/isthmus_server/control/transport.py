"""The listeners' TLS: version 1.3 alone, and certificates that change while they listen."""

from __future__ import annotations

import logging
import socket
import ssl
from pathlib import Path
from typing import Any, Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from isthmus.errors import IdentityError, ServiceError
from isthmus.secret_files import read_owned
from isthmus_server.server_certificate import CERTIFICATE, KEY
from isthmus_server.server_home import ServerHome

_HANDSHAKE_S: Final = 5.0  # for the proof, on this machine
_log = logging.getLogger(__name__)


class CertificateSource:
    """The server's key and certificate as gRPC asks for them: at every handshake of one listener.

    Args:
        home: the server's.
        authority_pem: whose platforms may come in.

    Raises:
        IdentityError: they cannot be read, or do not fit each other.
    """

    def __init__(self, home: ServerHome, authority_pem: bytes) -> None:
        self._paths = (home.tls / KEY, home.tls / CERTIFICATE)
        self._authority = authority_pem
        self._stamp = self._stamps()
        self.first = self._read()

    def newer(self) -> Any:
        """A certificate that was not there at the handshake before; None = there is none.

        One that cannot be read, or does not fit its key yet, is not there yet.
        """
        try:
            stamp = self._stamps()
            if stamp == self._stamp:
                return None
            found = self._read()
        except (IdentityError, OSError) as error:
            _log.warning("the server's new certificate cannot be used yet: %s", error)
            return None
        self._stamp = stamp
        _log.info("the server shows a new certificate")
        return found

    def credentials(self, *, require_client: bool) -> grpc.ServerCredentials:
        """For a listener.

        Args:
            require_client: whether only holders of a certificate of the authority may come in.
        """
        return grpc.dynamic_ssl_server_credentials(
            self.first, self.newer, require_client_authentication=require_client
        )

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        found = [path.stat() for path in self._paths]
        return tuple((each.st_mtime_ns, each.st_ino) for each in found)

    def _read(self) -> Any:
        key_path, certificate_path = self._paths
        key_pem, certificate_pem = read_owned(key_path), certificate_path.read_bytes()
        _require_pair(key_pem, certificate_pem, certificate_path)
        return grpc.ssl_server_certificate_configuration(
            [(key_pem, certificate_pem)], root_certificates=self._authority
        )


def prove_tls13(host: str, port: int) -> None:
    """Try to come in with TLS 1.2, and see that it fails.

    grpcio has no setting for the version; what we use in its place (`isthmus.control.tls13`) must
    not fail silently in another release of it.

    Raises:
        ServiceError: it was let in, or the port does not answer at all.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # no data is sent
    context.set_alpn_protocols(["h2"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        plain = socket.create_connection((host, port), _HANDSHAKE_S)
    except OSError as error:
        raise ServiceError(f"port {port} of {host} does not answer: {error}") from error
    with plain:
        try:
            context.wrap_socket(plain).close()
        except TimeoutError as error:
            raise ServiceError(f"port {port} of {host} does not answer: {error}") from error
        except OSError:  # ssl.SSLError is one
            return
    raise ServiceError(
        f"port {port} of {host} takes TLS 1.2",
        hint="this release of grpcio cannot be held to TLS 1.3: install another",
    )


def _require_pair(key_pem: bytes, certificate_pem: bytes, path: Path) -> None:
    try:
        key = load_pem_private_key(key_pem, password=None).public_key()
        fits = x509.load_pem_x509_certificate(certificate_pem).public_key() == key
    except (ValueError, TypeError) as error:
        raise IdentityError(f"{path} or its key is damaged: {error}") from None
    if not fits:
        raise IdentityError(f"{path} and its key do not belong together")
