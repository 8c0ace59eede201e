"""One cell in a process of its own, and where it is kept.

    cells/NAME-DIGEST.json       a finished training; the digest is of all that it depends on
    unfinished/NAME-DIGEST/      its rounds and ledgers until then

A cell of other options, data or code has another name: it is never mixed in, and never deleted.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from isthmus.files import write_text
from isthmus.offline import stay_offline
from isthmus.progress import Progress
from isthmus_simulations.job import Clock, Job
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.price.cells import CellFacts, Run
from isthmus_simulations.price.measure import measure
from isthmus_simulations.price.seats import seat
from isthmus_simulations.stages import Stages
from isthmus_simulations.transfer.identity import require_code
from isthmus_simulations.transfer.inputs import load_input


@dataclass(frozen=True)
class CellTask:
    """Everything that a cell's process needs.

    Attributes:
        simulation: its `out` is where unfinished work is kept.
        folders: of the platforms that take part.
        most_test_users: of a platform.
        identity: digest of everything that the figures depend on.
        code: digest of the code that the benchmark started with.
        path: of the finished cell.
    """

    run: Run
    simulation: SimulationOptions
    plan: TrainingPlan
    folders: tuple[Path, ...]
    most_test_users: int
    identity: str
    code: str
    path: Path


def compute(task: CellTask, progress: Progress) -> None:
    """Train, measure, and keep what was found.

    Raises:
        ResumeError: the code is no longer the one that the benchmark started with.
        FederationError: a round could not be finished.
        OSError: the disk is full or the folder cannot be written.
    """
    require_code(task.code)
    stay_offline()
    torch.set_num_threads(1)  # as many cells as cores run side by side
    unfinished = task.simulation.out
    job = Job(task.simulation, task.plan, progress, Stages(unfinished / "stages"), Clock())
    events = task.plan.encoder.max_events
    seats = [seat(each, events, task.run.seed) for each in load_input(task.folders)]
    facts = measure(task.run, job, seats, task.most_test_users, task.identity)
    write_text(task.path, facts.model_dump_json(indent=1) + "\n")
    shutil.rmtree(unfinished, ignore_errors=True)


def kept(task: CellTask) -> CellFacts | None:
    """The finished cell; None where it is absent, damaged, or of an older format."""
    try:
        facts = CellFacts.model_validate_json(task.path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return facts if facts.identity == task.identity else None
