"""Randomness that nobody can foretell or repeat: ChaCha20 under a key of the operating system.

PyTorch's and NumPy's generators are for simulations: who knows the seed, or sees enough of the
output, can subtract the noise again. Here each source draws a fresh key from `os.urandom` and has
no seed to set.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

_KEY: Final = 32  # bytes
_NONCE: Final = 16  # bytes: ChaCha20's block counter and nonce
_BLOCK: Final = 2**14  # normals made at once, so that all they need stays in a core's cache


class SecureSource:
    """A stream of random words from ChaCha20.

    Args:
        entropy: gives so many unforeseeable bytes; the operating system's by default. Only a test
            of the stream itself passes another.

    Guarantees:
        Two sources share nothing: no seed of NumPy, PyTorch, the run or another platform has any
        influence on a draw. A copy of a source draws independently of the original (a copied
        stream would hand out the same noise twice), and a source does not cross to another process
        or survive a `fork` with its stream: each draws a new key there.
    """

    def __init__(self, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._entropy = entropy
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        algorithm = algorithms.ChaCha20(self._entropy(_KEY), self._entropy(_NONCE))
        self._stream = Cipher(algorithm, mode=None).encryptor()

    def __copy__(self) -> SecureSource:
        return SecureSource(self._entropy)

    def __deepcopy__(self, memo: object) -> SecureSource:
        return SecureSource(self._entropy)

    def __reduce__(self) -> tuple[type[SecureSource], tuple[()]]:
        return (SecureSource, ())

    def words(self, count: int) -> Words:
        """Uniform 64-bit words. (count,)."""
        if self._process != os.getpid():
            self._start()
        return np.frombuffer(self._stream.update(bytes(8 * count)), np.uint64)

    def uniforms(self, count: int) -> Floats:
        """Uniform numbers on the grid of 2^-53 above 0 and up to 1. (count,)."""
        return np.asarray(((self.words(count) >> np.uint64(11)) + np.uint64(1)) * 2.0**-53)

    def normals(self, count: int) -> Floats:
        """Standard normal numbers in float64, by Box and Muller (1958). (count,).

        The largest magnitude is 8.6, beyond which lies a mass of 1e-17.
        """
        found = np.empty(count + count % 2)
        for start in range(0, found.size, _BLOCK):
            part = found[start : start + _BLOCK]
            half = part.size // 2
            radius = np.sqrt(-2.0 * np.log(self.uniforms(half)))
            # Sine and cosine by the tangent of half the angle: one function instead of two.
            tangent = np.tan(np.pi * self.uniforms(half))
            square = tangent * tangent
            radius /= 1.0 + square
            np.multiply(radius, 1.0 - square, out=part[:half])
            np.multiply(radius, 2.0 * tangent, out=part[half:])
        return found[:count]
