"""Every platform in turn as a newcomer: the others federate, then it joins with few users or none.

The work is a grid of cells (scenario, newcomer, seed). A finished cell is one JSON file, written
wholly or not at all, and is not computed again by the same code; an unfinished one goes on
after the last round of its federation.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from isthmus.errors import ScenarioError
from isthmus.files import digest, write_text
from isthmus.progress import Progress
from isthmus.sources import source_digest
from isthmus.statistics import paired_bootstrap
from isthmus_client.day_one import Day, Measured, measure, measure_days, task_count
from isthmus_client.day_one_models import OWN, STRONG, Fit, Recipe, fit_both_sasrec
from isthmus_client.figures import Metrics, PairedDifference
from isthmus_client.gate import decide
from isthmus_client.ranker_model import RankerModel
from isthmus_client.sasrec import SasRecSettings
from isthmus_client.workspace import Workspace
from isthmus_simulations.job import Clock, Job
from isthmus_simulations.newcomer import recipe_of
from isthmus_simulations.newcomer_cells import CELL, SIZES, Cell, CellSize
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.plan import plan_of
from isthmus_simulations.rankers import federate_release
from isthmus_simulations.run_folder import configuration
from isthmus_simulations.scenarios import Prepared, load_scenario, prepare
from isthmus_simulations.stages import Stages

REFERENCE: Final[tuple[str, Fit]] = ("sasrec", fit_both_sasrec)
"""The newcomer's own model, fully trained on all its users, that all is measured against."""

_PACKAGES: Final = ("isthmus", "isthmus_client", "isthmus_server", "isthmus_simulations")
_SPEAK_ONLY: Final = ("cli", "console", "doctor", "report", "transfer")
"""Beginnings of names of modules that show figures, or compute others; they change no cell."""


@dataclass(frozen=True)
class Grid:
    """Which cells, and where they are kept.

    Attributes:
        newcomers: platforms that take a turn; empty = every platform of each scenario.
        options: everything else; `out` is the benchmark's folder, `seed` the first seed.
        sasrec: how the fully trained own model is trained.
    """

    scenarios: tuple[str, ...]
    seeds: int
    newcomers: tuple[str, ...]
    options: SimulationOptions
    sasrec: SasRecSettings = SasRecSettings()  # noqa: RUF009 - frozen


def run_grid(grid: Grid, progress: Progress) -> tuple[Cell, ...]:
    """Every cell of the grid, computed or read.

    Raises:
        ScenarioError, DataMissingError, DataInvalidError, FederationError: as in a simulation.
    """
    cells: list[Cell] = []
    code = code_digest()  # once: what is loaded now computes every cell
    for scenario in grid.scenarios:
        for seed in range(grid.options.seed, grid.options.seed + grid.seeds):
            options = grid.options.model_copy(update={"scenario": scenario, "seed": seed})
            cells += _turns(options, grid, code, progress)
    return tuple(cells)


def code_digest() -> str:
    """Of the source of every module that can change a newcomer's figure."""
    return source_digest(_PACKAGES, skip=_SPEAK_ONLY, endings=(".py", ".toml"))[:16]


def _turns(options: SimulationOptions, grid: Grid, code: str, progress: Progress) -> list[Cell]:
    """One scenario and seed, every platform in turn."""
    prepared = prepare(
        load_scenario(options.scenario),
        data=options.data,
        cache=options.cache,
        seed=options.seed,
        quick=options.quick,
        encoder=options.encoder,
        progress=progress,
    )
    wanted = grid.newcomers
    known = [platform.name for platform in prepared.platforms]
    if unknown := [name for name in wanted if name not in known]:
        raise ScenarioError(
            f"scenario {options.scenario} has no platform {', '.join(unknown)}",
            hint=f"choose among {', '.join(known)}",
        )
    names = [name for name in known if not wanted or name in wanted]
    cells = []
    with progress.track(f"{Path(options.scenario).stem}, seed {options.seed}", len(names)) as bar:
        for name in names:
            turn = options.model_copy(update={"newcomer": name})
            cells.append(_cell(turn, grid, code, prepared, progress))
            bar(1)
    return cells


def _cell(
    options: SimulationOptions, grid: Grid, code: str, prepared: Prepared, progress: Progress
) -> Cell:
    """A finished cell from disk, or a new one."""
    name = f"{Path(options.scenario).stem}-{options.newcomer}-{options.seed}"
    folder = options.out / "cells" / name
    begun = json.dumps({**configuration(options), "code": code}, sort_keys=True)
    identity = digest(begun.encode(), repr((REFERENCE[0], grid.sasrec, SIZES)).encode())
    if (found := _read(folder / CELL, identity)) is not None:
        return found
    _claim(folder, digest(begun.encode()))
    plan = plan_of(options, prepared)
    mine = options.model_copy(update={"out": folder})
    job = Job(mine, plan, progress, Stages(folder / "stages"), Clock())
    cell = _compute(job, replace(recipe_of(plan), sasrec=grid.sasrec), identity, prepared)
    write_text(folder / CELL, cell.model_dump_json(indent=2) + "\n")
    return cell


def _read(path: Path, identity: str) -> Cell | None:
    """A finished cell of this very configuration and code; None where it must be computed."""
    try:
        cell = Cell.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return cell if cell.identity == identity else None


def _claim(folder: Path, federation: str) -> None:
    """Leave the rounds that this configuration and code have begun, delete those of others."""
    mark = folder / "federation"
    if folder.exists() and (not mark.exists() or mark.read_text() != federation):
        shutil.rmtree(folder)
    write_text(mark, federation)


def _compute(job: Job, recipe: Recipe, identity: str, prepared: Prepared) -> Cell:
    """Federate the others, then measure the newcomer's days."""
    events = recipe.encoder.max_events
    own = {platform.name: Workspace(platform, events) for platform in prepared.platforms}
    newcomer = own.pop(str(job.options.newcomer))
    with job.clock.stage("federation"):
        release = federate_release(job, tuple(own.values()))
    with job.clock.stage("newcomer"):
        days = _days(job, recipe, newcomer, release)
    with job.clock.stage("own model on all users"):
        name, fit = REFERENCE
        full = days[-1].models.get(name) or measure(newcomer, fit, release, recipe)
    return Cell(
        identity=identity,
        scenario=Path(job.options.scenario).stem,
        newcomer=newcomer.platform.name,
        seed=recipe.seed,
        members=tuple(own),
        users=days[-1].users,
        items=newcomer.items,
        test_users=full.test.users.size,
        reference=REFERENCE[0],
        reference_metrics=Metrics.of(full.test),
        reference_seconds=full.seconds,
        sizes=tuple(_size(day, full, recipe.seed) for day in days),
        seconds=job.clock.seconds,
    )


def _days(job: Job, recipe: Recipe, newcomer: Workspace, release: RankerModel) -> tuple[Day, ...]:
    """Every size, and all own users."""
    total = task_count(newcomer, SIZES, everyone=True, with_users=STRONG)
    with job.progress.track(f"newcomer {newcomer.platform.name}", total) as advance:
        return measure_days(
            newcomer,
            release,
            recipe,
            sizes=SIZES,
            everyone=True,
            with_users=STRONG,
            workers=job.workers,
            advance=advance,
        )


def _size(day: Day, full: Measured, seed: int) -> CellSize:
    """One size's figures; every model against the fully trained own one, and the usual pairs."""
    tests = {name: found.test.ndcg for name, found in day.models.items()}
    pairs = [("release", "prior"), ("release", "popularity"), ("release", "item_knn")]
    pairs += [("personalised", name) for name in ("prior", "popularity", "item_knn", "local")]
    differences = {f"{a} - {b}": (tests[a], tests[b]) for a, b in pairs if {a, b} <= tests.keys()}
    for name in {"release", "personalised"} & tests.keys():
        differences[f"{name} - reference"] = (tests[name], full.test.ndcg)
    return CellSize(
        users=day.users,
        models={name: Metrics.of(found.test) for name, found in day.models.items()},
        served=_served(day.models, seed),
        differences={
            label: PairedDifference.of(paired_bootstrap(*pair, seed=seed))
            for label, pair in sorted(differences.items())
            if pair[0].size
        },
        seconds={name: found.seconds for name, found in day.models.items()},
    )


def _served(models: Mapping[str, Measured], seed: int) -> str | None:
    """What the newcomer's gate serves; with the catalogue alone it has nobody to decide by."""
    if "personalised" not in models:
        return None
    qualities = {name: found.gate.ndcg for name, found in models.items()}
    own = tuple(name for name in OWN if name in models)
    return decide("personalised", qualities, own, seed=seed).served
