"""Secrets of 32 bytes in shares: any `threshold` of them give it again, fewer say nothing.

Shamir (1979) over GF(2^128) as PyCryptodome has it, on the two halves of a secret; its `ssss`
variant, which only serves a command-line tool of that name, stays off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, reduce
from typing import Final

from Crypto.Protocol.SecretSharing import Shamir

from isthmus.secagg import field
from isthmus.secagg.keys import SECRET, Secret

_HALF: Final = SECRET // 2  # bytes: an element of the field


def split(secret: Secret, threshold: int, count: int) -> tuple[bytes, ...]:
    """Shares of 32 bytes for the positions 1 to `count`, in this order.

    Guarantees:
        Fewer than `threshold` shares are independent of the secret: the coefficients are fresh and
        uniform.
    """
    halves = [
        Shamir.split(threshold, count, secret.value[start : start + _HALF], ssss=False)
        for start in (0, _HALF)
    ]
    return tuple(first + second for (_, first), (_, second) in zip(*halves, strict=True))


def combine(shares: Mapping[int, bytes]) -> Secret:
    """The secret of exactly `threshold` shares by position; of other ones, other bytes.

    The caller checks the result against what was announced: interpolation always gives something.
    This is PyCryptodome's `combine`, held to it by a test, except that the weights are found once
    for all secrets of a round: with 50 platforms, seconds become tenths. It takes no constant time,
    as PyCryptodome tries to; who combines may know the secret.
    """
    weights = _weights(tuple(shares))
    halves = [0, 0]
    for share, weight in zip(shares.values(), weights, strict=True):
        for half in (0, 1):
            value = int.from_bytes(share[half * _HALF : (half + 1) * _HALF], "big")
            halves[half] ^= field.product(weight, value)
    return Secret(b"".join(half.to_bytes(_HALF, "big") for half in halves))


@lru_cache(maxsize=64)
def _weights(positions: tuple[int, ...]) -> tuple[int, ...]:
    """Lagrange's weights of these positions at zero, where the secret is; they are no secret."""
    return tuple(_weight(x, [other for other in positions if other != x]) for x in positions)


def _weight(x: int, others: Sequence[int]) -> int:
    above = reduce(field.product, others, 1)
    below = reduce(field.product, [x ^ other for other in others], 1)
    return field.product(above, field.inverse(below))
