"""What privacy makes impossible here, in sentences that the figures back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from isthmus.privacy.planner import USEFUL
from isthmus_simulations.price.cells import PRIVATE
from isthmus_simulations.price.results import PlatformPrice, RunPrice
from isthmus_simulations.price.words import way_at


def limits(platforms: Mapping[str, PlatformPrice], runs: Sequence[RunPrice]) -> tuple[str, ...]:
    """A sentence for every private run that drowns in its noise or shows no gain over the prior."""
    return tuple(line for run in runs if run.way in PRIVATE for line in _of(run, platforms))


def _of(run: RunPrice, platforms: Mapping[str, PlatformPrice]) -> Iterator[str]:
    what = way_at(run.way, run.epsilon, run.platform)
    if run.impossible is not None:
        yield f"{what}: impossible, {run.impossible}."
        return
    none, worse = _without_gain(run, platforms)
    schedule = run.privacy.run if run.privacy is not None else None
    drowned = schedule is not None and schedule.noise_norm > USEFUL
    if not (none or worse or drowned):
        return
    parts = []
    if drowned and schedule is not None:
        times = f"{schedule.noise_norm:.1f}"
        parts.append(f"a round's noise is {times} times the longest that its signal can be")
    parts += [f"worse than no training at all on {', '.join(worse)}"] if worse else []
    parts += [f"no gain over the untrained prior is shown on {', '.join(none)}"] if none else []
    yield f"{what}: {'; '.join(parts)}."


def _without_gain(
    run: RunPrice, platforms: Mapping[str, PlatformPrice]
) -> tuple[list[str], list[str]]:
    """Platforms on which the interval over the prior holds 0, and on which it lies below."""
    none, worse = [], []
    for name, platform in platforms.items():
        if run.platform not in (None, name):
            continue
        for line in platform.lines:
            if (line.way, line.epsilon) != (run.way, run.epsilon) or line.over_prior is None:
                continue
            if line.over_prior.high < 0:
                worse.append(name)
            elif line.over_prior.low <= 0:
                none.append(name)
    return none, worse
