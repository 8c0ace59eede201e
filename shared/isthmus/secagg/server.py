"""The server's side: a phase takes platforms' messages, and closes into the next phase.

    Adverts -> Shares -> Vectors -> Agreements -> Reveals -> the sum

Phases are frozen values without a clock: who drives them decides when a phase closes. A refused
message leaves the phase as it was, so that its sender counts as dropped, or may send again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.bodies import Advert, Bundle, Reveal, Sealed, Survivors
from isthmus.secagg.keys import require_public
from isthmus.secagg.masks import Vector, masked, word
from isthmus.secagg.messages import Kind, Notice, Signed, extended
from isthmus.secagg.roster import advert_of, require_own_keys, verified
from isthmus.secagg.terms import Terms
from isthmus.secagg.unmask import unmasks
from isthmus.secagg.wire import chunks

Notices = dict[str, bytes]


@dataclass(frozen=True)
class _Phase(ABC):
    """What every phase has.

    Attributes:
        terms: of the round.
        seen: digest of the history that the platforms of this phase must have seen.
        got: their messages so far, by name.
    """

    kind: ClassVar[Kind]
    terms: Terms
    seen: bytes
    got: Mapping[str, Signed] = field(default_factory=dict, repr=False, kw_only=True)

    @property
    def expected(self) -> Collection[str]:
        """Who may speak in this phase, sorted."""
        return self.terms.names

    @property
    def waiting(self) -> tuple[str, ...]:
        """Who has not spoken yet, sorted."""
        return tuple(name for name in self.expected if name not in self.got)

    def receive(self, data: bytes) -> Self:
        """This phase with one more message.

        Raises:
            AggregationError: the message is refused; this phase stays valid without it.
        """
        message = self._new(Signed.from_bytes(data))
        self._require(message)
        return replace(self, got={**self.got, message.sender: message})

    def _new(self, message: Signed) -> Signed:
        verified(message, self.terms, self.kind, self.seen, self.expected)
        if message.sender in self.got:
            refuse(Alarm.DUPLICATE, f"{message.sender!r} has already spoken in this phase")
        return message

    @abstractmethod
    def _require(self, message: Signed) -> None:
        """Refuse a body that does not fit this phase."""

    def _notice(self, kind: Kind, body: bytes) -> bytes:
        return Notice(kind, self.terms.context, self.seen, body).to_bytes()

    def _bundle(self) -> bytes:
        return Bundle(tuple(self.got[name] for name in sorted(self.got))).to_bytes()


@dataclass(frozen=True)
class Adverts(_Phase):
    """Phase 1: model hashes and keys.

    Attributes:
        model: SHA-256 of the model that the server sent.
    """

    kind = Kind.ADVERT
    model: bytes

    def _require(self, message: Signed) -> None:
        advert = advert_of(message, self.terms, self.model)
        for key in (advert.sealing, advert.masking):
            require_public(key, message.sender)
        require_own_keys({**self._adverts(), message.sender: advert})

    def _adverts(self) -> dict[str, Advert]:
        return {name: Advert.from_bytes(self.got[name].body) for name in sorted(self.got)}

    def close(self) -> tuple[Shares, Notices]:
        """Relay all adverts to all who sent one.

        Raises:
            AggregationError: too few did.
        """
        self.terms.require(len(self.got), self.terms.quorum, "sent keys")
        body = self._bundle()
        notice = self._notice(Kind.ROSTER, body)
        after = Shares(self.terms, extended(self.seen, body), self._adverts())
        return after, dict.fromkeys(after.adverts, notice)


@dataclass(frozen=True)
class Shares(_Phase):
    """Phase 2: sealed shares, which the server cannot open.

    Attributes:
        adverts: by name, sorted.
    """

    kind = Kind.SHARES
    adverts: Mapping[str, Advert] = field(repr=False)

    @property
    def expected(self) -> Collection[str]:
        """Who sent an advert."""
        return self.adverts

    def _require(self, message: Signed) -> None:
        receivers = set(Sealed.from_bytes(message.body).names)
        if receivers != set(self.adverts) - {message.sender}:
            refuse(Alarm.BAD_SHARE, f"{message.sender!r} has not one share for each other platform")

    def close(self) -> tuple[Vectors, Notices]:
        """Deliver to everybody who shared what the others who shared have sealed for it.

        Raises:
            AggregationError: too few shared.
        """
        self.terms.require(len(self.got), self.terms.quorum, "shared")
        names = sorted(self.got)
        sealed = {name: dict(Sealed.from_bytes(self.got[name].body).parts) for name in names}
        notices = {
            name: Sealed(tuple((n, sealed[n][name]) for n in names if n != name)).to_bytes()
            for name in names
        }
        seen = extended(self.seen, chunks([name.encode() for name in names]))
        total = np.zeros(self.terms.length, word(self.terms.bits))
        adverts = {name: self.adverts[name] for name in names}
        after = Vectors(self.terms, seen, adverts, self.seen, total)
        return after, {n: self._notice(Kind.DELIVERY, body) for n, body in notices.items()}


@dataclass(frozen=True)
class Vectors(_Phase):
    """Phase 3: masked vectors, summed as they come; none is kept.

    Attributes:
        adverts: of those who shared, by name, sorted.
        bound: digest that the round's keys are bound to.
        total: sum of the masked vectors modulo 2^bits. (length,).
    """

    kind = Kind.VECTOR
    adverts: Mapping[str, Advert] = field(repr=False)
    bound: bytes
    total: Vector = field(repr=False)

    @property
    def expected(self) -> Collection[str]:
        """Who shared."""
        return self.adverts

    def receive(self, data: bytes) -> Self:
        """This phase with one more vector in its sum.

        Raises:
            AggregationError: the message is refused; this phase stays valid without it.
        """
        message = self._new(Signed.from_bytes(data))
        self._require(message)
        total = self.total + np.frombuffer(message.body, self.total.dtype)
        kept = replace(message, body=b"")
        return replace(self, total=total, got={**self.got, message.sender: kept})

    def _require(self, message: Signed) -> None:
        if len(message.body) != self.terms.vector_bytes:
            refuse(
                Alarm.BAD_VECTOR,
                f"{message.sender!r} sent {len(message.body)} bytes, "
                f"a vector of this round has {self.terms.vector_bytes}",
            )

    def close(self) -> tuple[Agreements, Notices]:
        """Tell everybody who sent a vector who did and who did not.

        Raises:
            AggregationError: too few did.
        """
        self.terms.require(len(self.got), self.terms.quorum, "sent a vector")
        present = tuple(sorted(self.got))
        survivors = Survivors(present, tuple(n for n in self.adverts if n not in self.got))
        body = survivors.to_bytes()
        notice = self._notice(Kind.SURVIVORS, body)
        seen = extended(self.seen, body)
        after = Agreements(self.terms, seen, self.adverts, self.bound, self.total, survivors)
        return after, dict.fromkeys(present, notice)


@dataclass(frozen=True)
class Agreements(_Phase):
    """Phase 4: signatures under the list of survivors.

    Attributes:
        adverts: as in `Vectors`, as are `bound` and `total`.
        survivors: the list.
    """

    kind = Kind.AGREEMENT
    adverts: Mapping[str, Advert] = field(repr=False)
    bound: bytes
    total: Vector = field(repr=False)
    survivors: Survivors

    @property
    def expected(self) -> Collection[str]:
        """Who sent a vector."""
        return self.survivors.present

    def _require(self, message: Signed) -> None:
        if len(message.body):
            refuse(Alarm.MALFORMED, f"the agreement of {message.sender!r} has a body")

    def close(self) -> tuple[Reveals, Notices]:
        """Show everybody who signed all signatures.

        Raises:
            AggregationError: fewer signed than the threshold.
        """
        self.terms.require(len(self.got), self.terms.threshold, "agreed on the survivors")
        after = Reveals(
            self.terms,
            self.seen,
            self.adverts,
            self.bound,
            self.total,
            self.survivors,
            tuple(sorted(self.got)),
        )
        notice = self._notice(Kind.UNMASK, self._bundle())
        return after, dict.fromkeys(after.signers, notice)


@dataclass(frozen=True)
class Reveals(_Phase):
    """Phase 5: shares of the survivors' seeds and of the dropped platforms' mask keys.

    Attributes:
        adverts: as in `Agreements`, as are `bound`, `total` and `survivors`.
        signers: who agreed, sorted.
    """

    kind = Kind.REVEAL
    adverts: Mapping[str, Advert] = field(repr=False)
    bound: bytes
    total: Vector = field(repr=False)
    survivors: Survivors
    signers: tuple[str, ...]

    @property
    def expected(self) -> Collection[str]:
        """Who agreed."""
        return self.signers

    def _require(self, message: Signed) -> None:
        if Reveal.from_bytes(message.body).names != tuple(self.adverts):
            refuse(
                Alarm.BAD_SHARE, f"{message.sender!r} has not revealed one share for each platform"
            )

    def close(self) -> Vector:
        """The exact sum of the survivors' vectors modulo 2^bits. (length,).

        Raises:
            AggregationError: fewer revealed than the threshold, or shares do not give a secret
                that its owner announced.
        """
        self.terms.require(len(self.got), self.terms.threshold, "revealed their shares")
        shares = {
            self.terms.position(name): dict(Reveal.from_bytes(message.body).parts)
            for name, message in sorted(self.got.items())
        }
        masks = unmasks(self.terms, self.bound, self.adverts, self.survivors, shares)
        return masked(self.total, masks)


def opened(terms: Terms, model: bytes) -> Adverts:
    """The first phase of a round.

    Args:
        terms: sent to every member.
        model: SHA-256 of the model that every member is sent, 32 bytes.
    """
    return Adverts(terms, terms.context, model)
