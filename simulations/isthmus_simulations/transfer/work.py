"""One cell in a process of its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from isthmus.offline import stay_offline
from isthmus.progress import Progress
from isthmus_simulations.job import Clock, Job
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.stages import Stages
from isthmus_simulations.transfer.identity import Identity, require_code
from isthmus_simulations.transfer.inputs import load_input
from isthmus_simulations.transfer.measure import Draw, measure
from isthmus_simulations.transfer.options import TransferOptions
from isthmus_simulations.transfer.store import CellStore


@dataclass(frozen=True)
class CellTask:
    """Everything that a cell's process needs.

    Attributes:
        unfinished: where its rounds and trainings are kept until it is finished; carries the
            identity in its name, so that it goes on only from its own.
    """

    scenario: str
    options: TransferOptions
    plan: TrainingPlan
    folders: tuple[Path, ...]
    identity: Identity
    unfinished: Path
    store: CellStore


def compute(task: CellTask, progress: Progress) -> None:
    """Measure the cell and keep it.

    Raises:
        ResumeError: the code is no longer the one that the benchmark started with.
        FederationError: a round could not be finished.
    """
    require_code(task.identity["code"])
    stay_offline()
    torch.set_num_threads(1)  # as many cells as cores run side by side
    simulation = task.options.simulation(task.scenario, task.plan.seed, task.unfinished)
    stages = Stages(task.unfinished / "stages")
    job = Job(simulation, task.plan, progress, stages, Clock())
    draw = Draw(task.plan.seed, task.options.max_test_users)
    cell = measure(load_input(task.folders), job, draw)
    task.store.write(cell, task.identity)
    shutil.rmtree(task.unfinished, ignore_errors=True)
