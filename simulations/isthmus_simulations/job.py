"""What the stages of a simulation share: options, plan, progress, finished work and a clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from isthmus.progress import Progress
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.stages import Stages

DEFAULT_WORKERS = 2
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass
class Clock:
    """Seconds that each stage took, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started


@dataclass(frozen=True)
class Job:
    """What every stage needs."""

    options: SimulationOptions
    plan: TrainingPlan
    progress: Progress
    stages: Stages
    clock: Clock

    @property
    def workers(self) -> int:
        """Platforms that work at the same time."""
        return self.options.workers or DEFAULT_WORKERS

    def parallel(self, work: Callable[[Given], Made], items: Sequence[Given]) -> list[Made]:
        """`work` of every item, in the order of the items, so many at a time.

        Threads suffice: PyTorch and NumPy compute outside Python's lock.
        """
        with ThreadPoolExecutor(self.workers, thread_name_prefix="stage") as pool:
            return list(pool.map(work, items))
