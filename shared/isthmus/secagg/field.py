"""The field GF(2^128) of PyCryptodome's Shamir.

Polynomials of bits modulo 1 + x + x^2 + x^7 + x^128; addition is exclusive or. Values are numbers
below 2^128 whose lowest bit is the constant term.
"""

from __future__ import annotations

from typing import Final

_BITS: Final = 128
_OVER: Final = 1 << _BITS
_MODULUS: Final = _OVER | 0b10000111


def product(one: int, other: int) -> int:
    """Shift and add, over the bits of the smaller."""
    low, high = sorted((one, other))
    found = 0
    while low:
        if low & 1:
            found ^= high
        low >>= 1
        high <<= 1
        if high & _OVER:
            high ^= _MODULUS
    return found


def inverse(value: int) -> int:
    """By Fermat: the power of 2^128 - 2, which is the product of all squares' squares.

    Raises:
        ZeroDivisionError: of zero.
    """
    if not value:
        raise ZeroDivisionError("zero has no inverse")
    found, square = 1, value
    for _ in range(_BITS - 1):
        square = product(square, square)
        found = product(found, square)
    return found
