"""The benchmark's figures in the words that terminal and page share."""

from __future__ import annotations

from typing import Final

from isthmus_client.figures import PairedDifference
from isthmus_simulations.price.cells import Way
from isthmus_simulations.price.results import Kept
from isthmus_simulations.report import formats
from isthmus_simulations.transfer.results import Goal

WAYS: Final[dict[Way, str]] = {
    "prior": "Text prior",
    "alone": "Own training",
    "federated": "Federated",
    "noiseless": "Noiseless",
    "pooled": "Pooled",
    "local": "Local",
    "private_alone": "Own, private",
}
EXPLAINED: Final[dict[Way, str]] = {
    "prior": "the encoder that nobody trained: where every platform starts",
    "alone": "the platform's own users, no federation, no privacy",
    "federated": "the federation without privacy, as the command simulate trains it",
    "noiseless": "the private rounds, clipped, with the noise left out: NOT private; it parts the "
    "price of clipping from the price of noise",
    "pooled": "private federation; every platform adds a share of the noise, only the sum is seen",
    "local": "private federation; every platform adds the whole noise, nobody outside is trusted",
    "private_alone": "the platform's own private rounds without a federation: the same engine and "
    "rounds, as many expected users in a round as the federation has (or all of its own), its own "
    "noise",
}


MET: Final = {True: "met", False: "missed", None: "not judged"}


def way_at(way: Way, epsilon: float | None, platform: str | None = None) -> str:
    """A training's name: "Pooled, ε = 8"."""
    found = WAYS[way] if epsilon is None else f"{WAYS[way]}, ε = {epsilon:g}"
    return found if platform is None else f"{found}, {platform}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as per cent."""
    return formats.MISSING if share is None else f"{100 * share:.{digits}f}{formats.THIN}%"


def kept(found: Kept | None) -> str:
    """A share kept with its interval, "96 % [93, 99]"; an open end is a dash."""
    if found is None:
        return formats.MISSING
    low, high = (
        formats.MISSING if e is None else f"{100 * e:.0f}" for e in (found.low, found.high)
    )
    return f"{percent(found.share, 0)} [{low}, {high}]"


def lift(found: PairedDifference | None) -> str:
    """A difference with its interval; a dash where there is none."""
    return formats.MISSING if found is None else formats.lift(found)


def number(value: float | None, digits: int = 2) -> str:
    """A figure with so many digits; a dash where there is none."""
    return formats.MISSING if value is None else f"{value:.{digits}f}"


def goal_found(goal: Goal) -> str:
    """The figure of a goal: all of them are shares."""
    return percent(goal.found)
