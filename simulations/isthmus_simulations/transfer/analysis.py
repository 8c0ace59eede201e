"""From finished cells to the results: a pure function, so that anything can be planted in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from isthmus_simulations.transfer.comparing import ALPHA, MARGIN, RESAMPLES, Verdict, verdicts
from isthmus_simulations.transfer.facts import Cell
from isthmus_simulations.transfer.models import BOUND, CANDIDATE, MODELS, RECIPE, RELEASE
from isthmus_simulations.transfer.platform import Place, Tested, platform_results
from isthmus_simulations.transfer.pooling import SeedView, pool
from isthmus_simulations.transfer.results import (
    ComparisonName,
    Method,
    ScenarioTransfer,
    TransferResults,
)
from isthmus_simulations.transfer.summary import goals, summarise

CONFIDENCE = 0.95  # of every interval
Said = dict[ComparisonName, tuple[float, Verdict]]


def analyse(
    cells: Sequence[Cell],
    *,
    quick: bool,
    created: datetime,
    config: Mapping[str, Any],
    versions: Mapping[str, str],
    windows: int = 1,
    warnings: Sequence[str] = (),
) -> TransferResults:
    """Average over seeds, compare on every platform, adjust over platforms, count.

    Args:
        cells: every scenario under the same seeds.
        quick: whether these are the scenarios' small variants.
        windows: that the cells' gates looked at.
    """
    by_scenario = _by_scenario(cells)
    places = [place for name, mine in by_scenario.items() for place in _places(name, mine)]
    tested = [place.tested() for place in places]
    said = _said(tested)
    platforms = tuple(platform_results(*each) for each in zip(places, tested, said, strict=True))
    scenarios = {name: _scenario(mine) for name, mine in by_scenario.items()}
    summary = summarise(platforms)
    silent = [p for p in platforms if not p.comparisons]
    return TransferResults(
        created=created,
        quick=quick,
        seeds=tuple(sorted({cell.facts.seed for cell in cells})),
        method=_method(windows),
        scenarios=scenarios,
        platforms=platforms,
        summary=summary,
        goals=goals(platforms, list(scenarios.values()), summary),
        config=dict(config),
        versions=dict(versions),
        warnings=(
            *warnings,
            *(f"{p.scenario}/{p.platform} has no test users: no comparison" for p in silent),
        ),
    )


def _method(windows: int) -> Method:
    return Method(
        candidate=CANDIDATE,
        release=RELEASE,
        recipe=RECIPE,
        bound=BOUND,
        margin=MARGIN,
        alpha=ALPHA,
        confidence=CONFIDENCE,
        resamples=RESAMPLES,
        windows=windows,
        models={name: entry.role for name, entry in MODELS.items()},
    )


def _by_scenario(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Each scenario's cells in the order of their seeds."""
    names = dict.fromkeys(cell.facts.scenario for cell in cells)
    return {
        name: sorted(
            (cell for cell in cells if cell.facts.scenario == name),
            key=lambda cell: cell.facts.seed,
        )
        for name in names
    }


def _places(scenario: str, cells: Sequence[Cell]) -> list[Place]:
    return [
        Place(
            scenario,
            platform,
            pool(
                [
                    SeedView(c.facts.seed, c.facts.platforms[platform], c.values[platform])
                    for c in cells
                ]
            ),
        )
        for platform in cells[0].facts.platforms
    ]


def _said(tested: Sequence[Mapping[ComparisonName, Tested]]) -> list[Said]:
    """P-values adjusted over the platforms that have the comparison, and verdicts."""
    said: list[Said] = [{} for _ in tested]
    for name in dict.fromkeys(name for mine in tested for name in mine):
        having = [place for place, mine in enumerate(tested) if name in mine]
        found = verdicts([tested[place][name] for place in having])
        for place, words in zip(having, found, strict=True):
            said[place][name] = words
    return said


def _scenario(cells: Sequence[Cell]) -> ScenarioTransfer:
    facts = [cell.facts for cell in cells]
    return ScenarioTransfer(
        split=facts[0].split,
        rounds=tuple(found.encoder_rounds + found.ranker_rounds for found in facts),
        ranker_rounds=tuple(found.ranker_rounds for found in facts),
        best_rounds=tuple(found.best_round for found in facts),
        best_ranker_rounds=tuple(found.best_ranker_round for found in facts),
        seconds=tuple(sum(found.seconds.values()) for found in facts),
    )
