"""What an operator hands to a platform so that it can join: one line of text.

It holds the server's address, the name that the platform will have, a token that is good once, and
the federation's authority itself, so that the very first connection is to the right server and no
other. It is a secret until it is used: hand it over as you would a password.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any, Final, Self

from isthmus.errors import IdentityError
from isthmus.identity import certificate_fingerprint, checked_name
from isthmus.identity.certificates import load_certificate

PREFIX: Final = "isthmus1."
MAX_CODE: Final = 8192  # characters
_FIELDS: Final = frozenset({"server", "port", "name", "token", "authority"})


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
        value = {
            "server": self.server,
            "port": self.port,
            "name": self.name,
            "token": self.token,
            "authority": self.authority_pem.decode(),
        }
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return PREFIX + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def from_code(cls, code: str) -> Self:
        """The inverse of `to_code`; blanks and line breaks that a mail put in are left out.

        Raises:
            IdentityError: it is no invitation, or only a part of one. The code is not repeated.
        """
        bare = "".join(code.split())
        if not bare.startswith(PREFIX) or len(bare) > MAX_CODE:
            raise _no_invitation()
        body = bare.removeprefix(PREFIX)
        try:
            value: Any = json.loads(base64.b64decode(body + "=" * (-len(body) % 4), b"-_", True))
        except (binascii.Error, ValueError, RecursionError):
            raise _no_invitation() from None
        if not isinstance(value, dict) or value.keys() != _FIELDS:
            raise _no_invitation()
        return cls._of(value)

    @classmethod
    def _of(cls, value: dict[str, Any]) -> Self:
        texts = [value[name] for name in ("server", "token", "authority")]
        port = value["port"]
        if not all(isinstance(each, str) and each for each in texts) or type(port) is not int:
            raise _no_invitation()
        pem = value["authority"].encode()
        load_certificate(pem)
        return cls(value["server"], port, checked_name(value["name"]), value["token"], pem)


def _no_invitation() -> IdentityError:
    return IdentityError(
        "this is no invitation, or only a part of one",
        hint=f"copy the whole line that isthmus server invite printed; it begins with {PREFIX}",
    )
