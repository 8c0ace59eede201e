"""A platform's request to join: its name, its public keys, its first certificate request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final, Self

from isthmus.errors import IdentityError
from isthmus.files import digest
from isthmus.identity.certificates import require_request
from isthmus.identity.keys import PlatformKeys, PublicKeys, is_signed
from isthmus.identity.names import checked_name

MAX_REQUEST: Final = 16 * 1024  # bytes of a whole request
MAX_TOKEN: Final = 256  # characters of an invitation's token
_DOMAIN: Final = b"isthmus join request 1"
_FIELDS: Final = frozenset({"name", "signing", "node", "csr", "token", "signature"})


@dataclass(frozen=True)
class JoinRequest:
    """What a platform sends when it joins; nothing in it is secret but the token.

    Attributes:
        name: the platform's.
        keys: its public keys.
        csr_pem: a PKCS 10 request for the key of its first certificate, PEM.
        token: of the invitation.
        signature: by the signing key, over all the rest.
    """

    name: str
    keys: PublicKeys
    csr_pem: bytes
    token: str = field(repr=False)
    signature: bytes = field(repr=False)

    @classmethod
    def make(cls, name: str, keys: PlatformKeys, csr_pem: bytes, token: str) -> Self:
        """A signed request.

        Raises:
            IdentityError: the name is none, or the certificate request is for another.
        """
        public = keys.public
        signature = keys.signing.sign(_message(name, public, csr_pem, token))
        made = cls(name, public, csr_pem, token, signature)
        made.verify()
        return made

    def verify(self) -> None:
        """Refuse a request that its signing key did not sign as it stands.

        Guarantees:
            Name, both keys, certificate request and token are those that the holder of the signing
            key put together. That the holder is who the name says, only the comparison of the
            fingerprint tells.

        Raises:
            IdentityError: says what is wrong.
        """
        checked_name(self.name)
        self.keys.require_valid()
        if not 0 < len(self.token) <= MAX_TOKEN or not self.token.isascii():
            raise IdentityError("the invitation's token is none of ours")
        message = _message(self.name, self.keys, self.csr_pem, self.token)
        if not is_signed(self.keys.signing, message, self.signature):
            raise IdentityError(f"the request to join of {self.name!r} is wrongly signed")
        require_request(self.csr_pem, self.name)

    def to_bytes(self) -> bytes:
        """JSON."""
        value = {
            "name": self.name,
            "signing": self.keys.signing.hex(),
            "node": self.keys.node.decode(),
            "csr": self.csr_pem.decode(),
            "token": self.token,
            "signature": self.signature.hex(),
        }
        return json.dumps(value, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """A verified request.

        Raises:
            IdentityError: it is none, or does not verify.
        """
        value = _fields(data)
        try:
            keys = PublicKeys(bytes.fromhex(value["signing"]), value["node"].encode())
            csr, signature = value["csr"].encode(), bytes.fromhex(value["signature"])
        except ValueError:
            raise IdentityError("the request to join is damaged") from None
        found = cls(value["name"], keys, csr, value["token"], signature)
        found.verify()
        return found


def _fields(data: bytes) -> dict[str, str]:
    """The request's texts, none missing and none too many."""
    if len(data) > MAX_REQUEST:
        raise IdentityError(f"a request to join has {len(data)} bytes, at most {MAX_REQUEST} pass")
    try:
        value: Any = json.loads(data)
    except (ValueError, RecursionError):
        raise IdentityError("the request to join is no JSON") from None
    if not isinstance(value, dict) or value.keys() != _FIELDS:
        raise IdentityError("the request to join has other fields than it should")
    if not all(isinstance(each, str) for each in value.values()):
        raise IdentityError("a field of the request to join is no text")
    return value


def _message(name: str, keys: PublicKeys, csr_pem: bytes, token: str) -> bytes:
    """What the signing key signs."""
    parts = (name.encode(), keys.signing, keys.node, csr_pem, token.encode())
    return _DOMAIN + bytes.fromhex(digest(*parts))
