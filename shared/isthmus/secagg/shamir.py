"""Secrets of 32 bytes in shares: any `threshold` of them give it again, fewer say nothing.

Shamir (1979) over GF(2^128) as PyCryptodome has it, on the two halves of a secret; its `ssss`
variant, which only serves a command-line tool of that name, stays off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from Crypto.Protocol.SecretSharing import Shamir

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
    """
    halves = [
        Shamir.combine(
            [(x, share[start : start + _HALF]) for x, share in shares.items()], ssss=False
        )
        for start in (0, _HALF)
    ]
    return Secret(b"".join(halves))
