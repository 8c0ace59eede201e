"""Privacy loss distributions: the tight account of a schedule that was fixed in advance.

Sources: Y. Zhu, J. Dong and Y.-X. Wang, Optimal Accounting of Differential Privacy via
Characteristic Function (AISTATS 2022) for dominating pairs of the sampled Gaussian mechanism;
V. Doroshenko, B. Ghazi, P. Kamath, R. Kumar and P. Manurangsi, Connect the Dots: Tighter Discrete
Approximations of Privacy Loss Distributions (PETS 2022) for the rounding, which only ever
overstates the loss. Computed by Google's dp-accounting.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from isthmus.privacy.calibration import Loss
from isthmus.privacy.events import Event

Counts = dict[tuple[float, float], int]
"""How often each (noise multiplier, sampling rate) was used."""

POINTS: Final = 2000  # grid points up to epsilon: the bound then lies within 0.1 % of the limit
_POINTS_OF_ROOT: Final = 45  # the same for n steps: that many times the root of n
WIDEST: Final = 100_000  # grid points of one step's loss, at most: memory and time
_ROUGH: Final = 8.0  # a search's grid is that much wider
_GRIDS: Final = 6  # tries of a grid, at most
_SETTLED: Final = 0.97  # a finer grid that lowers epsilon by less is fine enough
_WIDER: Final = 4.0  # a mixture's grid, whose points cost more
FINEST: Final = 1e-6  # grid step, at least


def loss_of(events: tuple[Event, ...], delta: float, bound: float) -> float:
    """Epsilon of all events together at `delta`.

    Args:
        events: at least one; fixed before the first output was seen.
        delta: in (0, 1).
        bound: about what epsilon will be; sets the grid. Any is sound, a larger overstates more.

    Guarantees:
        An upper bound, whatever `bound` is.
    """
    counts = _merged(events)
    total = _composed(counts, _grid_step(counts, bound))
    return float(total.get_epsilon_for_delta(delta))


def rough_loss(
    before: tuple[Event, ...], delta: float, rate: float, count: int, bound: float
) -> Loss:
    """Epsilon of `before` and `count` more steps, by noise multiplier, on a cheap wide grid."""
    known: dict[float, Any] = {}
    counts = _merged(before)

    def loss(noise_multiplier: float) -> float:
        more = _merged((Event(noise_multiplier, rate, count),))
        step = _grid_step({**counts, **more}, bound * _ROUGH)
        if step not in known:
            known[step] = _composed(counts, step)
        return float(known[step].compose(_composed(more, step)).get_epsilon_for_delta(delta))

    return loss


def repeated_loss(
    noise_multiplier: float, chances: tuple[float, ...], count: int, delta: float, bound: float
) -> float:
    """Epsilon of sums to which one person contributes 0, 1, 2, ... times the sensitivity.

    Args:
        noise_multiplier: standard deviation of a sum's noise, over one sensitivity.
        chances: probability of each multiple, from 0 on; adding up to 1.
        count: sums, each with contributions and noise of its own.
        delta: in (0, 1).
        bound: at least epsilon; the first of a few grids, each made for what the last one found.
    """
    for _ in range(_GRIDS):
        found = _repeated(noise_multiplier, chances, count, delta, bound)
        if found > _SETTLED * bound:
            return min(found, bound)
        bound = found
    return bound


def _repeated(
    noise_multiplier: float, chances: tuple[float, ...], count: int, delta: float, bound: float
) -> float:
    """An upper bound from a grid for an epsilon of `bound`."""
    from dp_accounting.pld import privacy_loss_distribution  # noqa: PLC0415 - slow

    most = len(chances) - 1
    whole = {(noise_multiplier / most, 1.0): count}
    one = privacy_loss_distribution.from_mixture_gaussian_mechanism(
        standard_deviation=noise_multiplier,
        sensitivities=list(range(most + 1)),
        sampling_probs=list(chances),
        value_discretization_interval=_grid_step(whole, bound * _WIDER),
    )
    return float(one.self_compose(count).get_epsilon_for_delta(delta))


def _grid_step(counts: Counts, bound: float) -> float:
    """A grid step for an epsilon of `bound` that keeps every step's own grid in memory."""
    least = min(noise_multiplier for noise_multiplier, _ in counts)
    reach = 0.5 / least**2 + 10 / least  # loss at ten standard deviations of noise
    # Every step's rounding widens the sum a little: more steps, a finer grid.
    points = max(POINTS, _POINTS_OF_ROOT * math.sqrt(sum(counts.values())))
    return max(bound / points, reach / WIDEST, FINEST)


def _composed(counts: Counts, step: float) -> Any:
    """dp-accounting's distribution of all mechanisms together, on a grid of `step`.

    Guarantees:
        Dominates the true privacy loss in both directions (a user added, a user removed).
    """
    from dp_accounting.pld import privacy_loss_distribution  # noqa: PLC0415 - slow

    total = privacy_loss_distribution.identity(value_discretization_interval=step)
    for (noise_multiplier, rate), count in sorted(counts.items()):
        one = privacy_loss_distribution.from_gaussian_mechanism(
            standard_deviation=noise_multiplier,
            sampling_prob=rate,
            value_discretization_interval=step,
        )
        total = total.compose(one.self_compose(count) if count > 1 else one)
    return total


def _merged(events: Iterable[Event]) -> Counts:
    """Counts of equal mechanisms; steps in which everybody takes part become a single one.

    Gaussian noise on the same sum composes exactly: precisions (1 / variance) add up.
    """
    counts: defaultdict[tuple[float, float], int] = defaultdict(int)
    precision = 0.0
    for event in events:
        if event.sampling_rate == 1:
            precision += event.count / event.noise_multiplier**2
        else:
            counts[event.noise_multiplier, event.sampling_rate] += event.count
    if precision:
        counts[precision**-0.5, 1.0] = 1
    return dict(counts)
