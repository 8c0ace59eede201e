"""The two forms of a message: signed by a platform, or a notice of the server.

A platform signs who it is, the phase, the terms, what it has seen of the round so far, and the
body. A notice is not signed: whatever matters in it was signed by platforms, so that a lying
server gains nothing by writing one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from isthmus.files import digest
from isthmus.messages import MAX_UPDATE_BYTES
from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.terms import PROTOCOL
from isthmus.secagg.wire import DIGEST, Data, Reader, chunk

SIGNATURE: Final = 64  # bytes of Ed25519
MAX_SMALL: Final = 2**18  # bytes of a body that is no vector

_MAGIC: Final = b"ISA1"


class Kind(IntEnum):
    """The phases in their order; odd ones are of platforms, even ones of the server."""

    ADVERT = 1
    ROSTER = 2
    SHARES = 3
    DELIVERY = 4
    VECTOR = 5
    SURVIVORS = 6
    AGREEMENT = 7
    UNMASK = 8
    REVEAL = 9


@dataclass(frozen=True)
class Signed:
    """A platform's message.

    Attributes:
        kind: the phase.
        context: of the terms.
        seen: digest of what the platform has seen of the round; see `extended`.
        sender: its name.
        body: of the phase.
        signature: Ed25519 over all of it.
    """

    kind: Kind
    context: bytes
    seen: bytes
    sender: str
    body: Data = field(repr=False)
    signature: bytes = field(repr=False)

    def verify(self, identity: bytes) -> None:
        """Refuse what the holder of this identity did not sign.

        Raises:
            AggregationError: the signature is of other bytes or another key.
        """
        statement = _statement(self.kind, self.context, self.seen, self.sender, self.body)
        try:
            Ed25519PublicKey.from_public_bytes(identity).verify(self.signature, statement)
        except InvalidSignature:
            refuse(
                Alarm.BAD_SIGNATURE,
                f"{self.kind.name.lower()} in the name of {self.sender!r} is not signed by it",
                hint="it was altered on the way, or somebody else speaks in this name",
            )

    def to_bytes(self) -> bytes:
        """The one encoding."""
        head = _head(self.kind, self.context, self.seen)
        return b"".join([head, chunk(self.sender.encode()), *_framed(self.body), self.signature])

    @classmethod
    def from_bytes(cls, data: Data) -> Signed:
        """The message again; its body is a view of `data`.

        Raises:
            AggregationError: the bytes are no platform's message.
        """
        reader = Reader(data, "a platform's message")
        kind, context, seen = _read_head(reader, odd=True)
        sender = reader.name()
        body = reader.chunk(MAX_UPDATE_BYTES if kind is Kind.VECTOR else MAX_SMALL)
        signature = reader.raw(SIGNATURE)
        reader.done()
        return cls(kind, context, seen, sender, body, signature)


@dataclass(frozen=True)
class Notice:
    """The server's message to a platform; the fields are those of `Signed`."""

    kind: Kind
    context: bytes
    seen: bytes
    body: Data = field(repr=False)

    def to_bytes(self) -> bytes:
        """The one encoding."""
        return b"".join([_head(self.kind, self.context, self.seen), *_framed(self.body)])

    @classmethod
    def from_bytes(cls, data: Data) -> Notice:
        """The message again.

        Raises:
            AggregationError: the bytes are no server's message.
        """
        reader = Reader(data, "a server's message")
        kind, context, seen = _read_head(reader, odd=False)
        body = reader.chunk(MAX_SMALL)
        reader.done()
        return cls(kind, context, seen, body)

    def require(self, kind: Kind, context: bytes, seen: bytes) -> None:
        """Refuse a notice of another phase, round or history.

        Raises:
            AggregationError: says which.
        """
        require_place(self, kind, context, seen, "the server's message")


def require_place(
    message: Signed | Notice, kind: Kind, context: bytes, seen: bytes, whose: str
) -> None:
    """Refuse a message that does not belong here.

    Raises:
        AggregationError: it is of another phase, another round, or another history of this round.
    """
    if message.context != context:
        refuse(Alarm.REPLAY, f"{whose} is of another run, round, attempt or cohort")
    if message.kind is not kind:
        expected, found = kind.name.lower(), message.kind.name.lower()
        refuse(Alarm.ORDER, f"{whose} is of the phase {found}, expected {expected}")
    if message.seen != seen:
        differs = kind in (Kind.AGREEMENT, Kind.UNMASK)
        alarm = Alarm.SURVIVORS_DIFFER if differs else Alarm.VIEW_DIFFERS
        refuse(alarm, f"{whose} follows another history of this round than ours")


def signed(
    kind: Kind, context: bytes, seen: bytes, sender: str, body: Data, key: Ed25519PrivateKey
) -> Signed:
    """A message under a platform's identity key."""
    signature = key.sign(_statement(kind, context, seen, sender, body))
    return Signed(kind, context, seen, sender, body, signature)


def extended(seen: bytes, *parts: Data) -> bytes:
    """The digest of a history and what follows: equal only where both sides saw the same."""
    return bytes.fromhex(digest(PROTOCOL, seen, *(bytes(part) for part in parts)))


def _statement(kind: Kind, context: bytes, seen: bytes, sender: str, body: Data) -> bytes:
    told = hashlib.sha256(body).digest()  # first, so that Ed25519 does not read a vector twice
    return bytes.fromhex(digest(PROTOCOL, bytes([kind]), context, seen, sender.encode(), told))


def _head(kind: Kind, context: bytes, seen: bytes) -> bytes:
    return _MAGIC + bytes([kind]) + context + seen


def _framed(body: Data) -> tuple[bytes, Data]:
    """A chunk in two parts, so that joining copies a vector once."""
    return len(body).to_bytes(4, "big"), body


def _read_head(reader: Reader, *, odd: bool) -> tuple[Kind, bytes, bytes]:
    if reader.raw(len(_MAGIC)) != _MAGIC:
        refuse(Alarm.MALFORMED, "not a message of secure aggregation, or of another version")
    code = reader.raw(1)[0]
    if code not in list(Kind) or code % 2 != odd:
        side = "platform" if odd else "server"
        refuse(Alarm.MALFORMED, f"{code} is no phase of a {side}")
    return Kind(code), reader.raw(DIGEST), reader.raw(DIGEST)
