"""What an operator hands to a platform so that it can join: one line of text.

It holds the server's address, the name that the platform will have, a token that is good once, and
the federation's authority itself, so that the very first connection is to the right server and no
other. It is a secret until it is used: hand it over as you would a password.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final, Self

from cryptography.hazmat.primitives.serialization import Encoding

from isthmus.errors import IdentityError, MessageRefusedError
from isthmus.files import digest
from isthmus.frames import join, split
from isthmus.identity import certificate_fingerprint, checked_name
from isthmus.identity.certificates import load_certificate

PREFIX: Final = "isthmus1."
MAX_CODE: Final = 8192  # characters
_CHECK: Final = 4  # bytes
_PORTS: Final = 2**16
_FIELDS: Final = frozenset({"server", "port", "name", "token"})


@dataclass(frozen=True)
class Invitation:
    """An invitation.

    Attributes:
        server: name or address of the server.
        port: of its enrolment service.
        name: that the platform will have.
        token: good once.
        authority_pem: the federation's authority, PEM.
    """

    server: str
    port: int
    name: str
    token: str = field(repr=False)
    authority_pem: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """The authority's, which `isthmus server init` showed the operator."""
        return certificate_fingerprint(load_certificate(self.authority_pem))

    def to_code(self) -> str:
        """One word of letters, digits and `._-`."""
        head = {"server": self.server, "port": self.port, "name": self.name, "token": self.token}
        text = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
        der = load_certificate(self.authority_pem).public_bytes(Encoding.DER)
        body = join([text, der, _check(text, der)])
        return PREFIX + base64.urlsafe_b64encode(body).decode().rstrip("=")

    @classmethod
    def from_code(cls, code: str) -> Self:
        """The inverse of `to_code`; blanks and line breaks that a mail put in are left out.

        Raises:
            IdentityError: it is no invitation, or only a part of one. The code is not repeated.
        """
        bare = "".join(code.split())
        if not bare.startswith(PREFIX) or len(bare) > MAX_CODE or not bare.isascii():
            raise _no_invitation()
        body = bare.removeprefix(PREFIX)
        try:
            text, der, check = split(base64.b64decode(body + "=" * (-len(body) % 4), b"-_", True))
            if check != _check(text, der):
                raise _no_invitation()
            value: Any = json.loads(text)
        except (ValueError, RecursionError, MessageRefusedError):
            raise _no_invitation() from None
        if not isinstance(value, dict) or value.keys() != _FIELDS:
            raise _no_invitation()
        return cls._of(value, load_certificate(der).public_bytes(Encoding.PEM))

    @classmethod
    def _of(cls, value: dict[str, Any], pem: bytes) -> Self:
        server, port, token = value["server"], value["port"], value["token"]
        if not (isinstance(server, str) and server and isinstance(token, str) and token):
            raise _no_invitation()
        if type(port) is not int or not 0 < port < _PORTS:
            raise _no_invitation()
        return cls(server, port, checked_name(value["name"]), token, pem)


def _check(text: bytes, der: bytes) -> bytes:
    """By which a slip of the hand is seen; no secret."""
    return bytes.fromhex(digest(text, der))[:_CHECK]


def _no_invitation() -> IdentityError:
    return IdentityError(
        "this is no invitation, or only a part of one",
        hint=f"copy the whole line that isthmus server invite printed; it begins with {PREFIX}",
    )
