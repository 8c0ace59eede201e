"""Where private training does not pay, or is impossible, in sentences that the figures back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from isthmus.privacy.planner import USEFUL
from isthmus_simulations.price.cells import PRIVATE, Way
from isthmus_simulations.price.results import Line, PlatformPrice, RunPrice
from isthmus_simulations.price.words import way_at


def limits(platforms: Mapping[str, PlatformPrice], runs: Sequence[RunPrice]) -> tuple[str, ...]:
    """A sentence for every private training that drowns in its noise or shows no gain."""
    groups: dict[tuple[Way, float | None], list[RunPrice]] = {}
    for run in runs:
        if run.way in PRIVATE:
            groups.setdefault((run.way, run.epsilon), []).append(run)
    said = ((key, "; ".join(_parts(*key, mine, platforms))) for key, mine in groups.items())
    return tuple(f"{way_at(*key)}: {parts}." for key, parts in said if parts)


def _parts(
    way: Way,
    epsilon: float | None,
    runs: Sequence[RunPrice],
    platforms: Mapping[str, PlatformPrice],
) -> Iterator[str]:
    """What stands against one way of training at one epsilon."""
    for run in runs:
        if run.impossible is not None:
            where = f" on {run.platform}" if run.platform else ""
            yield f"impossible{where}: {run.impossible}"
    norms = sorted(
        run.privacy.run.noise_norm
        for run in runs
        if run.privacy is not None and run.privacy.run is not None
    )
    if norms and norms[-1] > USEFUL:
        ends = dict.fromkeys(f"{norm:.1f}" for norm in (norms[0], norms[-1]))
        yield f"a round's noise is {' to '.join(ends)} times the longest that its signal can be"
    found = {
        name: line
        for name, platform in platforms.items()
        for line in platform.lines
        if (line.way, line.epsilon) == (way, epsilon)
    }
    if worse := [name for name, line in found.items() if _over_prior(line)[1] < 0]:
        where = _listed(worse, platforms, "every platform")
        yield f"worse than no training at all on {where}"
    none = [name for name, line in found.items() if _holds_zero(*_over_prior(line))]
    if none:
        where = _listed(none, platforms, "any platform")
        yield f"no gain over the untrained prior is shown on {where}"


def _over_prior(line: Line) -> tuple[float, float]:
    """The interval; all numbers where there is none."""
    found = line.over_prior
    return (-1.0, 1.0) if found is None else (found.low, found.high)


def _holds_zero(low: float, high: float) -> bool:
    return low <= 0 <= high


def _listed(names: Sequence[str], platforms: Mapping[str, PlatformPrice], whole: str) -> str:
    return whole if len(names) == len(platforms) > 1 else ", ".join(names)
