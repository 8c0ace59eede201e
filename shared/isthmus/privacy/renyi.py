"""Renyi differential privacy: a vector that adds up, one number an order.

Sources: I. Mironov, Renyi Differential Privacy (CSF 2017); I. Mironov, K. Talwar and L. Zhang,
Renyi Differential Privacy of the Sampled Gaussian Mechanism (arXiv 1908.10530); C. Canonne,
G. Kamath and T. Steinke, The Discrete Gaussian for Differential Privacy (arXiv 2004.00010),
Proposition 12, for the conversion to (epsilon, delta). Computed by Google's dp-accounting.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from isthmus.privacy.events import Event

Values = npt.NDArray[np.float64]

ORDERS: Final[tuple[float, ...]] = (
    2.0,
    *(quarter / 4 for quarter in range(11, 44)),  # 2.75, 3.0, ... 10.75
    *(float(order) for order in range(11, 65)),
    *(80.0, 96.0, 128.0, 192.0, 256.0, 512.0, 1024.0, 2048.0),
)
"""Orders at which divergences are held; finer up to 11, where large losses decide.

The best order is about 1 + 2 log(1 / delta) / epsilon, so those below 2.75 serve an epsilon above
15 alone, and the series behind fractional ones does not always converge there.
"""

_NOISY: Final = 50.0  # the same series fails beyond; whole orders do as well there


def divergences(events: Iterable[Event]) -> Values:
    """Renyi divergence of all events together, at each of `ORDERS`. (orders,)

    Guarantees:
        An upper bound for add/remove neighbours, at every order, whatever the events' order;
        parameters that were fixed in advance or chosen from earlier outputs cost the same as long
        as their sum stays below a bound that was fixed in advance (`isthmus.privacy.filter`).
    """
    total = np.zeros(len(ORDERS))
    for event in events:
        total += event.count * _of_one(event.noise_multiplier, event.sampling_rate)
    return total


@lru_cache(maxsize=4096)
def _of_one(noise_multiplier: float, sampling_rate: float) -> Values:
    """Divergence of a single step. (orders,) Never write to it."""
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent  # noqa: PLC0415 - slow
    from dp_accounting.rdp import RdpAccountant  # noqa: PLC0415 - slow

    used = np.asarray(ORDERS)
    if noise_multiplier > _NOISY and sampling_rate < 1:
        used = used[used % 1 == 0]
    accountant = RdpAccountant(used)
    accountant.compose(PoissonSampledDpEvent(sampling_rate, GaussianDpEvent(noise_multiplier)))
    found = np.full(len(ORDERS), np.inf)
    found[np.isin(ORDERS, used)] = accountant.rdp
    # A divergence is never negative: what rounding made so, or lost, is no bound at that order.
    sound = np.where(found >= 0, found, np.inf)
    sound.setflags(write=False)
    return sound


def converted(divergence: Values, delta: float) -> float:
    """The smallest epsilon that the divergences prove at `delta`; inf if none. (orders,)

    Guarantees:
        (epsilon, delta)-DP by Proposition 12 of Canonne, Kamath and Steinke (2020), at the best of
        `ORDERS`. Choosing the order afterwards is free, because the divergence at every order is a
        fact about the mechanism and not about its output.
    """
    from dp_accounting.rdp import compute_epsilon  # noqa: PLC0415 - slow

    usable = np.isfinite(divergence)
    if not usable.any():
        return float("inf")
    bound, _ = compute_epsilon(np.asarray(ORDERS)[usable], divergence[usable], delta)
    return float(bound)


def surcharge(delta: float) -> Values:
    """What the same conversion adds to the divergence at each order, for small delta. (orders,)"""
    orders = np.asarray(ORDERS)
    added: Values = np.log1p(-1 / orders) - np.log(delta * orders) / (orders - 1)
    return added
