"""What the server takes off the sum of masked vectors, from shares that platforms revealed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from isthmus.secagg import keys, shamir
from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.bodies import Advert, Survivors
from isthmus.secagg.keys import Secret
from isthmus.secagg.masks import Mask
from isthmus.secagg.pairs import pair_mask, self_mask
from isthmus.secagg.terms import Terms

Shares = Mapping[int, Mapping[str, bytes]]
"""Revealed shares: by position of the holder, then by name of the owner."""


def unmasks(
    terms: Terms,
    bound: bytes,
    adverts: Mapping[str, Advert],
    survivors: Survivors,
    shares: Shares,
) -> list[Mask]:
    """The masks that are left in the sum, each with the other sign.

    Args:
        terms: of the round.
        bound: digest that the round's keys are bound to.
        adverts: of those who shared, by name.
        survivors: whose vectors are in the sum, and whose are not.
        shares: at least as many holders as the threshold says.

    Raises:
        AggregationError: no shares give the secret that its owner announced.
    """
    found = []
    for name in survivors.present:
        seed = _secret(terms, name, shares, _seed_test(terms, name, adverts[name]))
        found.append(self_mask(seed, bound, name, added=False))
    for name in survivors.dropped:
        key = _secret(terms, name, shares, _key_test(adverts[name]))
        # What it would have added for each pair is just what the others' halves of the pair lack.
        found += [
            pair_mask(key, bound, name, other, adverts[other].masking)
            for other in survivors.present
        ]
    return found


def _seed_test(terms: Terms, name: str, advert: Advert) -> Callable[[Secret], bool]:
    return lambda seed: keys.commitment(seed, terms.context, name) == advert.seed


def _key_test(advert: Advert) -> Callable[[Secret], bool]:
    return lambda key: keys.public(key) == advert.masking


def _secret(terms: Terms, owner: str, shares: Shares, fits: Callable[[Secret], bool]) -> Secret:
    """One platform's secret, from the first shares that give it."""
    return next(filter(fits, _candidates(terms.threshold, owner, shares)), None) or refuse(
        Alarm.BAD_SHARE,
        f"{len(shares)} shares do not give the secret that {owner!r} announced",
        hint=f"{owner!r} shared wrongly, or a holder revealed another share; try again without it",
    )


def _candidates(threshold: int, owner: str, shares: Shares) -> Iterator[Secret]:
    """What the shares of `threshold` neighbours give, going round once.

    With more shares than the threshold, one bad share does no harm: some neighbours are without it.
    """
    holders = sorted(shares)
    for start in range(len(holders) if len(holders) > threshold else 1):
        turn = [*holders[start:], *holders[:start]][:threshold]
        yield shamir.combine({holder: shares[holder][owner] for holder in turn})
