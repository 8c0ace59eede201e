"""The server's own certificate: short-lived, renewed while the processes that use it run on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509

from isthmus.errors import IdentityError
from isthmus.files import write_bytes
from isthmus.identity import Authority, new_tls_key, private_pem
from isthmus.identity.extensions import host_name
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings

CERTIFICATE = "server.pem"
KEY = "server.key"


def renew_certificate(home: ServerHome, settings: Settings, authority: Authority) -> None:
    """Write a new key and its certificate, the certificate last.

    Who reads both between the two writes finds that they do not fit, and reads again.

    Raises:
        OSError: they cannot be written.
    """
    key = new_tls_key()
    issued = authority.issue_server(settings.hosts, key, settings.server_certificate_hours)
    write_bytes(home.tls / KEY, private_pem(key), mode=0o600)
    write_bytes(home.tls / CERTIFICATE, issued)


def renewal_due(home: ServerHome, settings: Settings, now: datetime | None = None) -> bool:
    """Whether half of the certificate's life is over, or it is for other hosts.

    Raises:
        IdentityError: the certificate is missing or unreadable.
    """
    try:
        found = x509.load_pem_x509_certificate((home.tls / CERTIFICATE).read_bytes())
    except (OSError, ValueError) as error:
        raise IdentityError(
            f"{home.tls / CERTIFICATE} is no certificate: {error}",
            hint="restore the server's folder from its backup",
        ) from error
    left = found.not_valid_after_utc - (now or datetime.now(UTC))
    told = {*found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value}
    wanted = {host_name(host) for host in settings.hosts}
    return left < timedelta(hours=settings.server_certificate_hours) / 2 or told != wanted
