"""The benchmark from its options to its four files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from isthmus.errors import ResumeError
from isthmus.files import digest
from isthmus.progress import Progress
from isthmus_simulations.outcome import versions
from isthmus_simulations.plan import plan_of
from isthmus_simulations.transfer.analysis import analyse
from isthmus_simulations.transfer.facts import Cell
from isthmus_simulations.transfer.folder import JSON, PAGE, TABLE, own
from isthmus_simulations.transfer.identity import Identity, code_digest, identity
from isthmus_simulations.transfer.inputs import Input, prepare_inputs
from isthmus_simulations.transfer.memory import records_of, remembered
from isthmus_simulations.transfer.options import TransferOptions
from isthmus_simulations.transfer.page import write_page
from isthmus_simulations.transfer.pool import finish_tasks
from isthmus_simulations.transfer.results import TransferResults
from isthmus_simulations.transfer.store import CellStore
from isthmus_simulations.transfer.table import write_table
from isthmus_simulations.transfer.work import CellTask, compute

_UNFINISHED = "unfinished"


def benchmark_transfer(options: TransferOptions, progress: Progress) -> TransferResults:
    """Compute what is missing, then write `transfer.json`, `.html` and `.csv` into `options.out`.

    Raises:
        ScenarioError: a scenario or the folder is wrong.
        DataMissingError, DataInvalidError: data is not there or breaks its contract.
        ResumeError: a finished cell there was computed otherwise, or another process is at work.
        FederationError: a round could not be finished.
    """
    with own(options.out):
        store = CellStore(options.out / "cells")
        if options.restart:
            store.clear()
            shutil.rmtree(options.out / _UNFINISHED, ignore_errors=True)
        inputs, notes = prepare_inputs(options, options.out / "platforms", progress)
        for note in notes:
            progress.say(note)
        tasks = _tasks(options, inputs, store)
        missing = {_name(task): task for task in tasks if _read(task) is None}
        finish_tasks(
            compute, missing, len(tasks), what="cells", workers=options.workers, progress=progress
        )
        results = analyse(
            remembered([_kept(task) for task in tasks], records_of(inputs)),
            quick=options.quick,
            created=datetime.now(UTC).replace(microsecond=0),
            config=_config(options, tasks[0]),
            windows=options.windows,
            versions=versions(),
            warnings=(*notes, *(line for each in inputs for line in each.warnings)),
        )
        _publish(results, options.out)
    return results


def _name(task: CellTask) -> str:
    """As a person reads it."""
    return f"{task.scenario} seed {task.plan.seed}"


def _read(task: CellTask) -> Cell | None:
    return task.store.read(task.scenario, task.plan.seed, task.identity)


def _kept(task: CellTask) -> Cell:
    """A cell that must be there by now."""
    cell = _read(task)
    if cell is None:
        raise ResumeError(
            f"the cell {_name(task)} was computed, but is not whole on disk",
            hint="is the disk full, or does something else write there? Run the command again",
        )
    return cell


def _config(options: TransferOptions, task: CellTask) -> dict[str, object]:
    """What is needed to get the same figures again."""
    asked = options.model_dump(
        mode="json", exclude={"out", "cache", "data_folder", "workers", "restart"}
    )
    return {"options": asked, "training": task.plan.record(), "code": task.identity["code"]}


def _publish(results: TransferResults, out: Path) -> None:
    """The JSON last: its presence means that the others are there."""
    write_table(results, out / TABLE)
    write_page(results, out / PAGE)
    results.save(out / JSON)


def _tasks(
    options: TransferOptions, inputs: Sequence[Input], store: CellStore
) -> tuple[CellTask, ...]:
    """Every cell; seed by seed, so that an early look at the folder has all scenarios."""
    code = code_digest()
    return tuple(
        _task(options, each, seed, store, code)
        for seed in range(1, options.seeds + 1)
        for each in inputs
    )


def _task(
    options: TransferOptions, given: Input, seed: int, store: CellStore, code: str
) -> CellTask:
    plan = plan_of(options.simulation(given.asked, seed, options.out), given)
    mark = identity(given.name, options.deciding, plan, given.data, code)
    name = f"{given.name}-{seed}-{_short(mark)}"
    return CellTask(
        scenario=given.name,
        options=options,
        plan=plan,
        folders=given.folders,
        identity=mark,
        unfinished=options.out / _UNFINISHED / name,
        store=store,
    )


def _short(mark: Identity) -> str:
    """Names an unfinished cell's folder by what it depends on."""
    return digest(json.dumps(mark, sort_keys=True).encode())[:12]
