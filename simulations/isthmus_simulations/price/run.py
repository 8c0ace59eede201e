"""The benchmark from its options to its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from isthmus.errors import ResumeError
from isthmus.files import digest
from isthmus.progress import Progress
from isthmus_simulations.outcome import versions
from isthmus_simulations.plan import plan_of
from isthmus_simulations.price.analysis import analyse
from isthmus_simulations.price.cells import CellFacts, Run, grid
from isthmus_simulations.price.options import PriceOptions
from isthmus_simulations.price.page import write_page
from isthmus_simulations.price.results import PriceResults
from isthmus_simulations.price.work import CellTask, compute, kept
from isthmus_simulations.transfer.folder import own
from isthmus_simulations.transfer.identity import code_digest, identity
from isthmus_simulations.transfer.inputs import Input, prepare_inputs
from isthmus_simulations.transfer.pool import finish_tasks

JSON: Final = "price.json"
PAGE: Final = "price.html"
_CELLS, _UNFINISHED = "cells", "unfinished"


def benchmark_privacy(options: PriceOptions, progress: Progress) -> PriceResults:
    """Train what is missing, then write `price.json` and `price.html` into `options.out`.

    Raises:
        ScenarioError: a scenario, an option or the folder is wrong.
        DataMissingError, DataInvalidError: data is not there or breaks its contract.
        ResumeError: another process is at work there, or the code changed meanwhile.
        FederationError: a round could not be finished.
    """
    with own(options.out, benchmark="privacy"):
        if options.restart:
            for name in (_CELLS, _UNFINISHED):
                shutil.rmtree(options.out / name, ignore_errors=True)
        inputs, notes = prepare_inputs(options.inputs(), options.out / "platforms", progress)
        tasks = tasks_of(options, inputs)
        missing = {task.run.name: task for task in tasks if kept(task) is None}
        many, workers = len(tasks), options.workers
        finish_tasks(compute, missing, many, what="trainings", workers=workers, progress=progress)
        results = analyse(
            [_finished(task) for task in tasks],
            quick=options.quick,
            whole=options.whole,
            created=datetime.now(UTC).replace(microsecond=0),
            config=_config(options, tasks),
            versions=versions(),
            warnings=(*notes, *(line for each in inputs for line in each.warnings)),
        )
        write_page(results, options.out / PAGE)
        results.save(options.out / JSON)  # last: its presence means that the page is there
    return results


def tasks_of(options: PriceOptions, inputs: Sequence[Input]) -> tuple[CellTask, ...]:
    """Every cell, seed by seed."""
    code = code_digest()
    return tuple(
        _task(options, given, run, code)
        for seed in range(1, options.seeds + 1)
        for given in inputs
        for run in grid(
            given.name, seed, [f.name for f in given.folders], options.trusts, options.epsilons
        )
    )


def _task(options: PriceOptions, given: Input, run: Run, code: str) -> CellTask:
    simulation = options.simulation(given.asked, run, options.out)
    plan = plan_of(simulation, given)
    deciding = {
        "cell": run.name,
        "max_users": options.max_users,
        "max_test_users": options.max_test_users,
    }
    found = identity(given.name, deciding, plan, given.data, code)
    mark = digest(json.dumps(found, sort_keys=True).encode())
    name = f"{run.name}-{mark[:12]}"
    unfinished = options.out / _UNFINISHED / name
    return CellTask(
        run=run,
        simulation=simulation.model_copy(update={"out": unfinished}),
        plan=plan,
        folders=_taking_part(given.folders, run),
        most_test_users=options.max_test_users,
        identity=mark,
        code=code,
        path=options.out / _CELLS / f"{name}.json",
    )


def _taking_part(folders: Sequence[Path], run: Run) -> tuple[Path, ...]:
    return tuple(each for each in folders if run.platform in (None, each.name))


def _finished(task: CellTask) -> CellFacts:
    """A cell that must be there by now."""
    facts = kept(task)
    if facts is None:
        raise ResumeError(
            f"{task.path} was written, but is not whole",
            hint="is the disk full, or does something else write there? Run the command again",
        )
    return facts


def _config(options: PriceOptions, tasks: Sequence[CellTask]) -> dict[str, object]:
    """What is needed to get such figures again: noise is never drawn twice."""
    plans = {task.run.way: task.plan.record() for task in tasks}
    chosen = {way: plans[way] for way in ("federated", "pooled", "local") if way in plans}
    return {"options": options.asked(), "training": chosen, "code": tasks[0].code}
