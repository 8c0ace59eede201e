"""Noise on a grid of whole numbers: one integer code for noise of one's own and noise in shares.

A clipped sum is rounded to multiples of `spacing`, a Gaussian rounded to the same multiples is
added, and sums over platforms are taken modulo 2^64, exactly as secure aggregation takes them. No
low-order bit of a float says what the sum was (Mironov 2012; Jin et al. 2022).

Why the Gaussian accountant holds. The rounded sums of neighbouring data sets differ by at most
`C / spacing + sqrt(d)` steps. Rounding a Gaussian that is added to whole numbers is the same as
rounding the result, hence post-processing: noise of one's own is the Gaussian mechanism, exactly.
Shares are rounded one by one. A rounded Gaussian of s steps is within 1 / (24 s²) in total
variation of the discrete Gaussian, sums of these are discrete Gaussians up to exp(-pi² s²)
(Kairouz, Liu and Steinke 2021), and that is again a rounded Gaussian: `slack` is the sum of these
distances, which an accountant takes off delta. Not covered: the sampler works in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from isthmus.errors import MessageRefusedError
from isthmus.privacy.randomness import Floats, SecureSource

Grid = npt.NDArray[np.int64]
Named = Mapping[str, Grid]

STEPS: Final = 2**36  # grid steps in one clipping norm
SUM_ERROR: Final = 1e-3  # of a clipping norm: what summing in float32 may move a sum by
LARGEST: Final = 2.0**61  # steps of a sum, far from where 2^64 wraps round


@dataclass(frozen=True)
class GridNoise:
    """How clipped sums are noised in one round; every number is published.

    Attributes:
        clipping_norm: C, the largest norm of a user's gradient; above 0.
        noise_multiplier: of the whole noise over the sensitivity, as accounted; above 0.
        coordinates: d, numbers in an update.
        shares: honest shares that together are the whole noise; 1 = each platform adds it all.
    """

    clipping_norm: float
    noise_multiplier: float
    coordinates: int
    shares: int = 1

    def __post_init__(self) -> None:
        """Refuse what gives no noise.

        Raises:
            MessageRefusedError: names the value and its bound.
        """
        for name in ("clipping_norm", "noise_multiplier"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise MessageRefusedError(f"{name} is {value}, must be finite and above 0")
        for name in ("coordinates", "shares"):
            if getattr(self, name) < 1:
                raise MessageRefusedError(f"{name} is {getattr(self, name)}, must be 1 or more")

    @property
    def spacing(self) -> float:
        """Between two points of the grid, in units of the gradient."""
        return self.clipping_norm / STEPS

    @property
    def sensitivity(self) -> float:
        """The most that one user moves a rounded sum by, in grid steps, Euclidean."""
        return STEPS * (1.0 + SUM_ERROR) + math.sqrt(self.coordinates)

    @property
    def deviation(self) -> float:
        """Standard deviation of one platform's noise, in grid steps."""
        return self.noise_multiplier * self.sensitivity / math.sqrt(self.shares)

    def slack(self, platforms: int, rounds: int, epsilon: float) -> float:
        """What the rounding of shares adds to delta; 0 where each platform adds the whole noise.

        Args:
            platforms: whose shares are in a sum.
            rounds: that are accounted together.
            epsilon: claimed for them.
        """
        if self.shares == 1 and platforms == 1:
            return 0.0
        distance = (platforms + 1) / (24.0 * self.deviation**2)
        return (1.0 + math.exp(epsilon)) * distance * self.coordinates * rounds


def shares_of(platforms: int, colluders: int) -> int:
    """Honest shares that a round can count on: every planned platform but the colluders.

    Raises:
        MessageRefusedError: fewer than two honest platforms would be left, so a colluder knows the
            other's sum and only noise of its own protects it.
    """
    if not 0 <= colluders <= platforms - 2:
        raise MessageRefusedError(
            f"{colluders} colluding of {platforms} platforms: at least two must be honest",
            hint="use the trust mode local, in which nobody is trusted",
        )
    return platforms - colluders


def noised(
    sums: Mapping[str, npt.NDArray[np.floating]], how: GridNoise, source: SecureSource
) -> Named:
    """Clipped sums on the grid, with noise.

    Args:
        sums: of clipped gradients, by tensor.
        how: the round's.
        source: of the noise.

    Guarantees:
        With `shares` honest platforms' noise in a sum, and clipping norms kept, the sum is the
        Gaussian mechanism with `how.noise_multiplier` (see `slack`). The noise is fresh: no two
        calls share any.

    Raises:
        MessageRefusedError: the number of coordinates is not the accounted one, a value is not
            finite, or a sum would leave the grid.
    """
    coordinates = sum(np.size(values) for values in sums.values())
    if coordinates != how.coordinates:
        raise MessageRefusedError(
            f"a sum has {coordinates} coordinates, {how.coordinates} are accounted"
        )
    names = sorted(sums)
    whole = np.concatenate([np.ravel(sums[name]) for name in names], dtype=np.float64)
    grid = _noised(whole, how, source)
    if grid is None:
        raise MessageRefusedError(f"the sum of {_worst(sums)!r} is not finite or leaves the grid")
    ends = np.cumsum([np.size(sums[name]) for name in names])
    parts = zip(names, np.split(grid, ends[:-1]), strict=True)
    return {name: part.reshape(np.shape(sums[name])) for name, part in parts}


def _noised(steps: Floats, how: GridNoise, source: SecureSource) -> Grid | None:
    """All of a sum at once, in its own memory; None where it leaves the grid. (coordinates,)."""
    steps /= how.spacing
    np.rint(steps, out=steps)
    noise = source.normals(steps.size)
    noise *= how.deviation
    np.rint(noise, out=noise)
    if not _reach(steps) + _reach(noise) < LARGEST:  # nor where it is not a number
        return None
    grid = steps.astype(np.int64)
    grid += noise.astype(np.int64)
    return grid


def _worst(sums: Mapping[str, npt.NDArray[np.floating]]) -> str:
    """Which tensor has the largest magnitude, or what is not a number."""

    def largest(name: str) -> float:
        return float(np.nan_to_num(np.abs(sums[name]), nan=np.inf).max(initial=0.0))

    return max(sums, key=largest)


def _reach(values: Floats) -> float:
    """The largest magnitude; not a number where any value is not."""
    return float(np.maximum(values.max(), -values.min()))


def summed(parts: Sequence[Named]) -> Named:
    """The sum over platforms modulo 2^64, read as signed: what secure aggregation computes.

    Raises:
        MessageRefusedError: nothing to sum, or two parts differ in names or shapes.
    """
    if not parts:
        raise MessageRefusedError("there is nothing to sum")
    shapes = [{name: values.shape for name, values in part.items()} for part in parts]
    if any(each != shapes[0] for each in shapes[1:]):
        raise MessageRefusedError("two platforms' sums differ in names or shapes")
    return {name: _wrapped([part[name] for part in parts]) for name in parts[0]}


def _wrapped(values: Sequence[Grid]) -> Grid:
    total = np.zeros(values[0].shape, np.uint64)
    for value in values:
        np.add(total, value.view(np.uint64), out=total)  # unsigned arithmetic wraps
    return total.view(np.int64)


def restored(total: Named, how: GridNoise, divisor: float) -> dict[str, npt.NDArray[np.float32]]:
    """A noised sum as numbers again, divided by a published constant.

    Args:
        total: on the grid.
        how: the round's.
        divisor: the expected users behind the sum; never their count.
    """
    factor = how.spacing / divisor
    return {name: np.asarray(grid * factor, np.float32) for name, grid in total.items()}
