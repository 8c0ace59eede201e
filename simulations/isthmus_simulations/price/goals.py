"""The goals that the benchmark was built to check, each met or missed with its figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from isthmus_simulations.price.cells import Way
from isthmus_simulations.price.results import Line, PlatformPrice, ScenarioPrice
from isthmus_simulations.transfer.results import Goal
from isthmus_simulations.transfer.summary import PUBLISHED, PUBLISHED_SCENARIO

KEPT: Final = {8.0: 0.95, 2.0: 0.90, 1.0: 0.85}
"""Least share of the non-private federation's NDCG@10, by epsilon of pooled noise."""


def goals(name: str, scenario: ScenarioPrice, *, whole: bool) -> tuple[Goal, ...]:
    """Each goal with what was found; judged on all users of `trio` alone, for which it was set.

    Args:
        whole: whether all users took part with the full training plans.
    """
    judged = whole and name == PUBLISHED_SCENARIO and _all_users(scenario.platforms)
    found = [*_kept_goals(name, scenario), *_alone_goals(name, scenario)]
    if judged:
        return tuple(found)
    return tuple(goal.model_copy(update={"met": None}) for goal in found)


def _all_users(platforms: Mapping[str, PlatformPrice]) -> bool:
    return all(
        name in platforms and platforms[name].users == published.users
        for name, published in PUBLISHED.items()
    )


def _kept_goals(name: str, scenario: ScenarioPrice) -> Iterator[Goal]:
    """Mean over platforms of the share kept."""
    prior = [line.kept.share for _, line in _lines(scenario, "prior") if line.kept]
    free = f"; the untrained prior has {100 * np.mean(prior):.1f} %" if prior else ""
    for epsilon, least in KEPT.items():
        lines = {
            platform: line
            for platform, line in _lines(scenario, "pooled")
            if line.epsilon == epsilon and line.kept is not None
        }
        if not lines:
            continue
        shares = {platform: line.kept.share for platform, line in lines.items() if line.kept}
        mean, lowest = float(np.mean(list(shares.values()))), min(shares, key=shares.__getitem__)
        yield Goal(
            name=f"{name}: pooled, epsilon {epsilon:g}, kept",
            target=f"at least {100 * least:.0f} %",
            found=mean,
            met=mean >= least,
            note="of the federation without privacy; mean over platforms, lowest "
            f"{100 * shares[lowest]:.1f} % on {lowest}{free}",
        )


def _alone_goals(name: str, scenario: ScenarioPrice) -> Iterator[Goal]:
    """On how many pairs of platform and epsilon the private federation is ahead of each alone."""
    ways: tuple[Way, ...] = ("pooled", "local")
    for way in ways:
        pairs = [
            (platform, line.epsilon, line.over_private_alone)
            for platform, line in _lines(scenario, way)
            if line.over_private_alone is not None
        ]
        if not pairs:
            continue
        ahead = [found.difference > 0 for _, _, found in pairs]
        sure = sum(found.low > 0 for _, _, found in pairs)
        behind = [
            f"{p} at {e:g}" for (p, e, _), better in zip(pairs, ahead, strict=True) if not better
        ]
        notes = [f"{sum(ahead)} of {len(pairs)} at equal epsilon, {sure} by their intervals"]
        notes += [f"not on {', '.join(behind)}"] if behind else []
        yield Goal(
            name=f"{name}: {way} ahead of own, private",
            target="all platforms",
            found=float(np.mean(ahead)),
            met=all(ahead),
            note="; ".join(notes),
        )


def _lines(scenario: ScenarioPrice, way: Way) -> Iterator[tuple[str, Line]]:
    for platform, found in scenario.platforms.items():
        yield from ((platform, line) for line in found.lines if line.way == way)
