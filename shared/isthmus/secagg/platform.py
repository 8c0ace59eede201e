"""A platform's side: a state and a message give the next state and an answer.

    advertise -> Advertised -> share -> Sharing -> mask -> Masking -> agree -> Agreeing -> reveal

The protocol is that of Bonawitz et al. (2017) with its consistency check; an advert also carries
the hash of the model that the platform received. States live in memory only and hold secrets.
`isthmus.secagg.conversation` walks through them so that none is used twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from isthmus.secagg import keys, shamir
from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.bodies import PAYLOAD, Advert, Bundle, Reveal, Sealed, Survivors
from isthmus.secagg.keys import SECRET, Secret
from isthmus.secagg.masks import Mask, Vector, masked, word
from isthmus.secagg.messages import Kind, Notice, extended, signed
from isthmus.secagg.pairs import pair_mask, self_mask
from isthmus.secagg.roster import advert_of, require_own_keys, verified
from isthmus.secagg.site import Site
from isthmus.secagg.terms import Terms
from isthmus.secagg.wire import chunks


@dataclass(frozen=True)
class Round:
    """What stays the same through a round: its terms, this platform, its secrets."""

    terms: Terms
    site: Site
    model: bytes
    sealing: Secret
    masking: Secret
    seed: Secret

    def answer(self, kind: Kind, seen: bytes, body: bytes | memoryview) -> bytes:
        """A signed message of this platform."""
        name, identity = self.site.name, self.site.identity
        return signed(kind, self.terms.context, seen, name, body, identity).to_bytes()

    def read(self, data: bytes, kind: Kind, seen: bytes) -> Notice:
        """The server's message, of this phase and round."""
        notice = Notice.from_bytes(data)
        notice.require(kind, self.terms.context, seen)
        return notice


@dataclass(frozen=True)
class Advertised:
    """The platform has told its keys."""

    round: Round
    advert: bytes = field(repr=False)


@dataclass(frozen=True)
class Sharing:
    """The platform has sent shares of its secrets.

    Attributes:
        round: as before.
        adverts: of all who share, by name.
        seen: digest of the terms and adverts; every key of the round is bound to it.
        own: the platform's shares of its own secrets.
    """

    round: Round
    adverts: Mapping[str, Advert] = field(repr=False)
    seen: bytes
    own: Secret


@dataclass(frozen=True)
class Masking:
    """The platform has sent its masked vector.

    Attributes:
        round: as before.
        seen: digest of the history up to who shared.
        shares: that others gave to this platform, and its own, by owner.
    """

    round: Round
    seen: bytes
    shares: Mapping[str, Secret] = field(repr=False)


@dataclass(frozen=True)
class Agreeing:
    """The platform has signed who survived, and will not sign anything else in this round."""

    round: Round
    seen: bytes
    shares: Mapping[str, Secret] = field(repr=False)
    survivors: Survivors


def advertise(site: Site, terms: Terms, model: bytes) -> tuple[Advertised, bytes]:
    """Phase 1: sign the model's hash and two fresh public keys.

    Args:
        site: this platform.
        terms: of the round, as the server sent them.
        model: SHA-256 of the model that the server sent, 32 bytes.

    Raises:
        AggregationError: the platform did not agree to such a round.
    """
    site.require(terms)
    current = Round(terms, site, model, keys.fresh(), keys.fresh(), keys.fresh())
    told = Advert(
        model,
        keys.public(current.sealing),
        keys.public(current.masking),
        keys.commitment(current.seed, terms.context, site.name),
    )
    message = current.answer(Kind.ADVERT, terms.context, told.to_bytes())
    return Advertised(current, message), message


def share(state: Advertised, data: bytes) -> tuple[Sharing, bytes]:
    """Phase 2: check everybody's adverts, and seal shares of both secrets for each other.

    Guarantees:
        Nothing that depends on data was sent yet, and nothing will be if one platform received
        another model or speaks with another key.

    Raises:
        AggregationError: names the platform and what is wrong with its advert, or too few came.
    """
    current = state.round
    terms, me = current.terms, current.site.name
    notice = current.read(data, Kind.ROSTER, terms.context)
    adverts = _adverts(state, Bundle.from_bytes(notice.body))
    seen = extended(terms.context, notice.body)
    mask_key = shamir.split(current.masking, terms.threshold, len(terms.members))
    seed = shamir.split(current.seed, terms.threshold, len(terms.members))
    payloads = {n: mask_key[p - 1] + seed[p - 1] for n in adverts for p in [terms.position(n)]}
    own = Secret(payloads.pop(me))
    sealed = [
        (name, keys.seal(_sealing_key(current, adverts, seen, me, name), payload, seen))
        for name, payload in payloads.items()
    ]
    body = Sealed(tuple(sealed)).to_bytes()
    return Sharing(current, adverts, seen, own), current.answer(Kind.SHARES, seen, body)


def mask(state: Sharing, data: bytes, vector: npt.NDArray[Any]) -> tuple[Masking, bytes]:
    """Phase 3: open the others' shares, and send the vector under all masks.

    Args:
        state: after `share`.
        data: the server's message.
        vector: whole numbers of the terms' width, signed or not. (length,).

    Guarantees:
        The vector that is sent is uniform to everybody who has not the seed or fewer than
        `threshold` shares of it, whatever is in it.

    Raises:
        AggregationError: a share does not open, the vector is not what the terms say, or too few
            shared.
    """
    current, terms = state.round, state.round.terms
    values = _checked(vector, terms)
    notice = current.read(data, Kind.DELIVERY, state.seen)
    shares = _opened(state, Sealed.from_bytes(notice.body))
    terms.require(len(shares), terms.quorum, "shared")
    masks = [_pair_mask(state, name) for name in shares if name != current.site.name]
    masks.append(self_mask(current.seed, state.seen, current.site.name, added=True))
    seen = extended(state.seen, chunks([name.encode() for name in shares]))
    body = masked(values, masks).data.cast("B")
    return Masking(current, seen, shares), current.answer(Kind.VECTOR, seen, body)


def agree(state: Masking, data: bytes) -> tuple[Agreeing, bytes]:
    """Phase 4: sign who sent a vector and who did not; once.

    Raises:
        AggregationError: a platform is in both lists, in neither, unknown; we are not among the
            survivors; or they are too few.
    """
    current, terms = state.round, state.round.terms
    notice = current.read(data, Kind.SURVIVORS, state.seen)
    survivors = Survivors.from_bytes(notice.body)
    told = {*survivors.present, *survivors.dropped}
    if odd := sorted(told ^ set(state.shares)):
        refuse(Alarm.UNKNOWN_SENDER, f"survivors and dropped platforms are not who shared: {odd}")
    if current.site.name not in survivors.present:
        refuse(Alarm.SURVIVORS_DIFFER, "the server calls this platform dropped, but it answers")
    terms.require(len(survivors.present), terms.quorum, "sent a vector")
    seen = extended(state.seen, notice.body)
    message = current.answer(Kind.AGREEMENT, seen, b"")
    return Agreeing(current, seen, state.shares, survivors), message


def reveal(state: Agreeing, data: bytes) -> bytes:
    """Phase 5: give the server shares: of survivors' seeds, of dropped platforms' mask keys.

    Guarantees:
        Of one platform only one kind of share is ever given: it is in one list alone, which at
        least `threshold` platforms signed, and as that is more than half of the cohort no other
        lists can be signed as often while honest platforms sign once.

    Raises:
        AggregationError: fewer than the threshold signed, or one signed another list.
    """
    current, terms = state.round, state.round.terms
    notice = current.read(data, Kind.UNMASK, state.seen)
    agreements = Bundle.from_bytes(notice.body).messages
    for message in agreements:
        verified(message, terms, Kind.AGREEMENT, state.seen, state.survivors.present)
    terms.require(len(agreements), terms.threshold, "agreed on the survivors")
    present = set(state.survivors.present)
    parts = tuple(
        (name, held.value[SECRET:] if name in present else held.value[:SECRET])
        for name, held in sorted(state.shares.items())
    )
    return current.answer(Kind.REVEAL, state.seen, Reveal(parts).to_bytes())


def _pair_mask(state: Sharing, other: str) -> Mask:
    mine, public = state.round.site.name, state.adverts[other].masking
    return pair_mask(state.round.masking, state.seen, mine, other, public)


def _adverts(state: Advertised, bundle: Bundle) -> dict[str, Advert]:
    """All adverts by name, sorted, each checked."""
    current, terms = state.round, state.round.terms
    mine = [m for m in bundle.messages if m.sender == current.site.name]
    if [m.to_bytes() for m in mine] != [state.advert]:
        refuse(Alarm.SWAPPED_KEY, "the server relays other keys for this platform, or none")
    adverts = {m.sender: advert_of(m, terms, current.model) for m in bundle.messages}
    terms.require(len(adverts), terms.quorum, "sent keys")
    require_own_keys(adverts)
    return adverts


def _sealing_key(
    current: Round, adverts: Mapping[str, Advert], seen: bytes, sender: str, receiver: str
) -> Secret:
    other = receiver if sender == current.site.name else sender
    public = adverts[other].sealing
    return keys.agreed(current.sealing, public, "shares", seen, sender, receiver)


def _opened(state: Sharing, sealed: Sealed) -> dict[str, Secret]:
    """The shares that this platform holds, its own too, by owner, sorted."""
    current, me = state.round, state.round.site.name
    found = {me: state.own}
    for sender, part in sealed.parts:
        if sender not in state.adverts or sender == me:
            refuse(Alarm.UNKNOWN_SENDER, f"shares come in the name of {sender!r}")
        key = _sealing_key(current, state.adverts, state.seen, sender, me)
        found[sender] = keys.unseal(key, part, state.seen, sender)
        assert len(found[sender].value) == PAYLOAD  # the size of what is sealed was read
    return dict(sorted(found.items()))


def _checked(vector: npt.NDArray[Any], terms: Terms) -> Vector:
    """The vector as unsigned words."""
    expected = word(terms.bits)
    if vector.dtype.kind not in "iu" or vector.dtype.itemsize != expected.itemsize:
        refuse(Alarm.BAD_VECTOR, f"a vector is {vector.dtype}, the round sums {expected}")
    if vector.shape != (terms.length,):
        refuse(Alarm.BAD_VECTOR, f"a vector has the shape {vector.shape}, not ({terms.length},)")
    return np.ascontiguousarray(vector).view(expected)
