"""How a platform joins a federation, and how it comes to its certificate.

All keys are made here. What leaves is the platform's name, two public keys, a certificate request
and the invitation's token, signed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from isthmus.audit_log import AuditLog
from isthmus.control.collecting import collect_message
from isthmus.control.invitation import Invitation
from isthmus.errors import IdentityError
from isthmus.identity import (
    JoinRequest,
    PlatformKeys,
    certificate_request,
    new_tls_key,
    private_pem,
    same_fingerprint,
)
from isthmus.secret_files import read_owned, write_owned
from isthmus_client.home import Home
from isthmus_client.link.enrolled import (
    Credentials,
    Enrolment,
    audit_path,
    certificate_path,
    load_keys,
    save_credentials,
    save_keys,
    tls_key_path,
)
from isthmus_client.link.session_calls import EnrolmentCalls, ServerFacts
from isthmus_client.vault import Keyring

_KEPT: Final = (
    "identity.sealed",
    "signing.pub",
    "tls.key",
    "certificate.pem",
    "session.json",
    "server.json",
    "server.pub",
    "contracts",
    "decisions",
)
"""What belongs to one identity in one federation. The pins of other members' keys do not: a member
that is known is to be told from another of its name wherever this platform goes."""


@dataclass(frozen=True)
class Joined:
    """A request to join that the server took.

    Attributes:
        enrolment: of which federation, under which name; its `fingerprint` is what the operator
            compares.
        status: `pending` until the operator approves.
    """

    enrolment: Enrolment
    status: str


@dataclass(frozen=True)
class Collected:
    """What came of asking for the certificate.

    Attributes:
        status: `pending`, `approved`, `suspended` or `revoked`.
        note: why.
        credentials: where approved.
    """

    status: str
    note: str
    credentials: Credentials | None


def join(
    home: Home,
    keyring: Keyring,
    code: str,
    *,
    fingerprint: str | None = None,
    new_keys: bool = False,
) -> Joined:
    """Use an invitation. To do so again after a lost answer changes nothing.

    Args:
        home: the platform's.
        keyring: seals the long-lived keys.
        code: as `isthmus server invite` printed it.
        fingerprint: of the federation's authority, as the operator told it by another way; None =
            the invitation's own is believed.
        new_keys: set the old identity aside and make new keys, as after a revocation.

    Guarantees:
        The first connection is already to the server of the invitation's authority, or none is
        made. The keys are on the disk, sealed, before anything is sent.

    Raises:
        IdentityError: the code is none, the fingerprint is another, or the platform is a member of
            another federation.
        RefusedError: the server refuses the invitation; it does not say why.
        ServiceError: the server could not be reached.
    """
    invitation = Invitation.from_code(code)
    _require_fingerprint(invitation, fingerprint)
    if new_keys:
        _set_aside(home)
    _require_free(home, invitation)
    keys, tls_key = _keys(home, keyring), _tls_key(home)
    csr = certificate_request(invitation.name, tls_key)
    request = JoinRequest.make(invitation.name, keys, csr, invitation.token)
    calls = EnrolmentCalls(invitation.server, invitation.port, invitation.authority_pem)
    try:
        status, told = calls.join(request.to_bytes())
    finally:
        calls.close()
    enrolment = _enrolment(invitation, keys, told)
    enrolment.save(home)
    _log(home, keys, "joined", enrolment, authority=invitation.fingerprint)
    return Joined(enrolment, status)


def collect(home: Home, keys: PlatformKeys) -> Collected:
    """Ask for a certificate with the long-lived keys: the first one, or one instead of an old one.

    Raises:
        IdentityError: the platform has not joined, or what came is not its certificate.
        RefusedError: the server does not know this platform by these keys.
        ServiceError: the server could not be reached.
    """
    enrolment = Enrolment.load(home)
    tls_key = new_tls_key() if certificate_path(home).exists() else _tls_key(home)
    csr = certificate_request(enrolment.name, tls_key)
    message = collect_message(enrolment.name, csr, enrolment.authority_pem)
    calls = EnrolmentCalls(enrolment.server, enrolment.ports["enrolment"], enrolment.authority_pem)
    try:
        status, note, pem, told = calls.collect(enrolment.name, csr, keys.signing.sign(message))
    finally:
        calls.close()
    updated = with_server(enrolment, told)
    if updated != enrolment:
        updated.save(home)
    if not pem:
        return Collected(status, note, None)
    credentials = save_credentials(home, updated, tls_key, pem)
    log_certificate(home, keys, credentials)
    return Collected(status, note, credentials)


def with_server(enrolment: Enrolment, told: ServerFacts) -> Enrolment:
    """The enrolment with the ports that the server has now.

    Raises:
        IdentityError: the server signs with another key than when the platform joined.
    """
    if told.signing_key != enrolment.server_key:
        raise IdentityError(
            "the server signs with another key than when this platform joined",
            hint="ask the operator; if that is right, join again with a new invitation",
        )
    return replace(enrolment, ports={**enrolment.ports, **told.ports})


def log_certificate(home: Home, keys: PlatformKeys, credentials: Credentials) -> None:
    """Write which certificate is in use into the platform's log."""
    says = credentials.says
    body = {"serial": f"{says.serial:x}", "expires": says.not_after.isoformat()}
    own_log(home, keys).append({"kind": "certificate", "at": _now(), **body})


def own_log(home: Home, keys: PlatformKeys) -> AuditLog:
    """The platform's audit log."""
    return AuditLog(audit_path(home), keys.signing)


def _require_fingerprint(invitation: Invitation, told: str | None) -> None:
    if told is not None and not same_fingerprint(told, invitation.fingerprint):
        raise IdentityError(
            f"the invitation is for the authority {invitation.fingerprint}, not for {told}",
            hint="somebody may have changed it on the way: ask the operator for another",
        )


def _require_free(home: Home, invitation: Invitation) -> None:
    """Refuse to leave one federation for another in passing."""
    if not (home.federation / "server.json").exists():
        return
    there = Enrolment.load(home)
    same = there.authority_pem.strip() == invitation.authority_pem.strip()
    if not same or there.name != invitation.name:
        raise IdentityError(
            f"this platform is {there.name!r} of the federation {there.federation!r} already",
            hint="--new-keys sets that identity aside",
        )


def _set_aside(home: Home) -> None:
    """Keep the old identity and its log under other names, where there are any."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    there = [home.federation / name for name in (*_KEPT, audit_path(home).name)]
    for path in there:
        if path.exists():
            aside = home.federation / "before" / stamp
            aside.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.replace(aside / path.name)


def _keys(home: Home, keyring: Keyring) -> PlatformKeys:
    """Those of an attempt before, else new ones, which are on the disk when this returns."""
    if (home.federation / "identity.sealed").exists():
        return load_keys(home, keyring)
    keys = PlatformKeys.fresh()
    save_keys(home, keyring, keys)
    return keys


def _tls_key(home: Home) -> EllipticCurvePrivateKey:
    """The key of the first certificate, the same for joining and collecting."""
    path = tls_key_path(home)
    if path.exists():
        found = load_pem_private_key(read_owned(path), password=None)
        if isinstance(found, EllipticCurvePrivateKey):
            return found
    key = new_tls_key()
    write_owned(path, private_pem(key))
    return key


def _enrolment(invitation: Invitation, keys: PlatformKeys, told: ServerFacts) -> Enrolment:
    return Enrolment(
        federation=told.federation,
        server=invitation.server,
        ports={"enrolment": invitation.port, **told.ports},
        name=invitation.name,
        fingerprint=keys.public.fingerprint,
        authority=invitation.authority_pem.decode(),
        signing=told.signing_key.hex(),
    )


def _log(home: Home, keys: PlatformKeys, kind: str, enrolment: Enrolment, authority: str) -> None:
    body = {"federation": enrolment.federation, "server": enrolment.server, "name": enrolment.name}
    told = {"fingerprint": enrolment.fingerprint, "authority": authority}
    own_log(home, keys).append({"kind": kind, "at": _now(), **body, **told})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
