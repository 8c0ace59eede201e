"""What the messages of each phase hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.keys import NONCE, SECRET, TAG
from isthmus.secagg.messages import MAX_SMALL, Signed
from isthmus.secagg.wire import DIGEST, Data, Reader, ascending, chunk, chunks

PAYLOAD: Final = 2 * SECRET  # bytes: a share of the mask key, then one of the self-mask's seed


@dataclass(frozen=True)
class Advert:
    """What a platform says of itself: 32 bytes each.

    Attributes:
        model: SHA-256 of the model that it received.
        sealing: X25519 key under which shares are sent to it.
        masking: X25519 key from which the masks of its pairs come.
        seed: commitment to the seed of its self-mask.
    """

    model: bytes
    sealing: bytes
    masking: bytes
    seed: bytes

    def to_bytes(self) -> bytes:
        """The one encoding."""
        return self.model + self.sealing + self.masking + self.seed

    @classmethod
    def from_bytes(cls, data: Data) -> Advert:
        """The advert again."""
        reader = Reader(data, "an advert")
        parts = [reader.raw(DIGEST) for _ in range(4)]
        reader.done()
        return cls(*parts)


@dataclass(frozen=True)
class _ByName:
    """Bytes of one size by platform, sorted by name."""

    size: ClassVar[int]
    what: ClassVar[str]
    parts: tuple[tuple[str, bytes], ...] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Whose or for whom, sorted."""
        return tuple(name for name, _ in self.parts)

    def to_bytes(self) -> bytes:
        """The one encoding."""
        return chunks([chunk(name.encode()) + part for name, part in self.parts])

    @classmethod
    def from_bytes(cls, data: Data) -> Self:
        """The parts again.

        Raises:
            AggregationError: not sorted, a name twice, or a part of another size.
        """
        reader = Reader(data, cls.what)
        found = cls(reader.each(cls._part))
        reader.done()
        ascending(found.names, cls.what)
        return found

    @classmethod
    def _part(cls, outer: Reader) -> tuple[str, bytes]:
        reader = Reader(outer.chunk(MAX_SMALL), cls.what)
        part = reader.name(), reader.raw(cls.size)
        reader.done()
        return part


class Sealed(_ByName):
    """A platform's shares for each other, sealed; from the server: others' shares for one."""

    size = NONCE + PAYLOAD + TAG
    what = "sealed shares"


class Reveal(_ByName):
    """Shares for the server: of a survivor's seed, of a dropped platform's mask key."""

    size = SECRET
    what = "revealed shares"


@dataclass(frozen=True)
class Survivors:
    """Who sent a vector, and who sent shares but no vector; each sorted."""

    present: tuple[str, ...]
    dropped: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """The one encoding."""
        lists = (self.present, self.dropped)
        return b"".join(chunks([name.encode() for name in names]) for names in lists)

    @classmethod
    def from_bytes(cls, data: Data) -> Survivors:
        """The lists again.

        Raises:
            AggregationError: not sorted, or a platform is in both: unmasking it twice would bare
                its vector.
        """
        reader = Reader(data, "the survivors")
        found = cls(reader.each(Reader.name), reader.each(Reader.name))
        reader.done()
        for names in (found.present, found.dropped):
            ascending(names, "the survivors")
        if both := set(found.present) & set(found.dropped):
            refuse(
                Alarm.BOTH_SHARES,
                f"the server calls {min(both)!r} dropped and survivor: both its secrets would be "
                "revealed, and its vector with them",
            )
        return found


@dataclass(frozen=True)
class Bundle:
    """Platforms' messages as the server relays them, sorted by sender."""

    messages: tuple[Signed, ...]

    def to_bytes(self) -> bytes:
        """The one encoding."""
        return chunks([message.to_bytes() for message in self.messages])

    @classmethod
    def from_bytes(cls, data: Data) -> Bundle:
        """The messages again, not yet verified.

        Raises:
            AggregationError: not sorted, or two of one sender.
        """
        reader = Reader(data, "relayed messages")
        found = cls(reader.each(lambda inner: Signed.from_bytes(inner.chunk(MAX_SMALL))))
        reader.done()
        ascending([message.sender for message in found.messages], "relayed messages")
        return found
