"""Which masks a vector carries: its own, and one with each other platform."""

from __future__ import annotations

from isthmus.secagg import keys
from isthmus.secagg.keys import Secret
from isthmus.secagg.masks import Mask


def self_mask(seed: Secret, bound: bytes, name: str, *, added: bool) -> Mask:
    """The mask that hides a vector even from one who learns all mask keys."""
    return Mask(keys.derived(seed, "self mask", bound, name), added)


def pair_mask(private: Secret, bound: bytes, mine: str, other: str, public: bytes) -> Mask:
    """The mask that two platforms share: the first by name adds it, the second takes it off.

    Args:
        private: the mask key of `mine`.
        bound: digest of the terms and adverts of the round.
        mine: whose half of the pair is wanted.
        other: the other platform.
        public: its mask key.

    Raises:
        AggregationError: the other's key gives no secret.
    """
    pair = sorted((mine, other))
    return Mask(keys.agreed(private, public, "pair mask", bound, *pair), added=mine == pair[0])
