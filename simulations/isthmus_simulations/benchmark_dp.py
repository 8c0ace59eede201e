"""What user-level differential privacy costs a training step, in time and in memory.

Steps of all sides run in turn in one process and are compared in rounds, so that whatever else the
machine does hits all; the first round warms up and does not count. Time is the process's own on one
thread. Peak memory is that of a process of its own for each side.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from isthmus.privacy.events import Event
from isthmus.privacy.grid import noised, restored
from isthmus.privacy.randomness import SecureSource
from isthmus.progress import Progress, Silent
from isthmus_client.ledger import Key, Ledger
from isthmus_client.training import threads
from isthmus_simulations.benchmark_dp_memory import peak_megabytes
from isthmus_simulations.benchmark_dp_sides import (
    NOISE_MULTIPLIER,
    SIDES,
    Side,
    noise_of,
    step_of,
)
from isthmus_simulations.benchmark_dp_work import Work

MEASURED: tuple[Side, ...] = ("ours", "twin", "autograd")
"""Whose memory is measured; Opacus's is several times that of autograd (docs/privacy-engine.md)."""


@dataclass(frozen=True)
class Goal:
    """A bound on a figure.

    Attributes:
        most: of the figure; None = none.
        least: of the figure; None = none.
        users: smallest logical batch that it holds for.
    """

    most: float | None = None
    least: float | None = None
    users: int = 0

    def met(self, figure: float, users: int) -> bool:
        """Whether the figure of a logical batch keeps the bound."""
        if users < self.users:
            return True
        low = self.least is None or figure >= self.least
        return low and (self.most is None or figure <= self.most)

    def __str__(self) -> str:
        bound = f"≤ {self.most:g}" if self.most is not None else f"≥ {self.least:g}"
        return f"{bound} from {self.users} users on" if self.users else bound


GOALS: Mapping[str, Goal] = {
    "ours_over_twin": Goal(most=1.25),
    "ours_over_autograd": Goal(most=1.0, users=256),
    "opacus_ghost_over_ours": Goal(least=2.0),
    "opacus_hooks_over_ours": Goal(least=2.0),
    "memory_over_twin": Goal(most=1.15),
    "noise_and_ledger_share": Goal(most=0.03, users=256),
}


@dataclass(frozen=True)
class Cost:
    """All sides at one logical batch.

    Attributes:
        users: of the logical batch.
        seconds: process seconds of each counted step, by side.
        noise: process seconds of a step's noise, median.
        ledger: seconds on the clock that reserving and committing a step takes, disk included.
        megabytes: peak above what stood before the step, by side; empty = not measured.
    """

    users: int
    seconds: Mapping[Side, tuple[float, ...]]
    noise: float
    ledger: float
    megabytes: Mapping[Side, float]

    def ratio(self, above: Side, below: Side) -> float:
        """Median over the rounds of one side's time over the other's."""
        pairs = zip(self.seconds[above], self.seconds[below], strict=True)
        return statistics.median(one / other for one, other in pairs)

    @property
    def figures(self) -> dict[str, float]:
        """The figures that have a goal."""
        found = {
            "ours_over_twin": self.ratio("ours", "twin"),
            "ours_over_autograd": self.ratio("ours", "autograd"),
            "opacus_ghost_over_ours": self.ratio("opacus_ghost", "ours"),
            "opacus_hooks_over_ours": self.ratio("opacus_hooks", "ours"),
            "noise_and_ledger_share": self.share,
        }
        if self.megabytes:
            found["memory_over_twin"] = self.megabytes["ours"] / self.megabytes["twin"]
        return found

    @property
    def share(self) -> float:
        """Of noise and ledger in a whole step of ours, the ledger's own time included."""
        step = statistics.median(self.seconds["ours"])
        return (self.noise + self.ledger) / (step + self.ledger)


def compare_dp(
    sizes: list[int],
    *,
    negatives: int,
    adapter_width: int,
    rounds: int,
    seed: int,
    memory: bool,
    progress: Progress | None = None,
) -> list[Cost]:
    """Time every side at every logical batch.

    Args:
        sizes: users of the logical batches.
        negatives: of a step.
        adapter_width: leading numbers of a content vector that the encoder's adapters read.
        rounds: that count; one more warms up.
        memory: whether to measure peaks too, in processes of their own.
    """
    shown = progress or Silent()
    found = []
    with threads(1), _quiet():
        for users in sizes:
            work = Work(users, negatives, adapter_width, seed=seed)
            with shown.track(f"{users} users, rounds of steps", rounds + 1) as advance:
                seconds = _rounds(work, rounds, advance)
            peaks: dict[Side, float] = {}
            if memory:
                with shown.track(f"{users} users, peak memory", len(MEASURED)) as advance:
                    for side in MEASURED:
                        peaks[side] = peak_megabytes(side, work)
                        advance(1)
            found.append(Cost(users, seconds, noise_seconds(work), ledger_seconds(), peaks))
    return found


def _rounds(
    work: Work, rounds: int, advance: Callable[[int], None]
) -> dict[Side, tuple[float, ...]]:
    """Steps of all sides in turn."""
    steps = {side: step_of(side, work) for side in SIDES}
    seconds: dict[Side, list[float]] = {side: [] for side in SIDES}
    for _ in range(rounds + 1):
        for side, step in steps.items():
            started = time.process_time()
            step()
            seconds[side].append(time.process_time() - started)
        advance(1)
    return {side: tuple(found[1:]) for side, found in seconds.items()}


def noise_seconds(work: Work, repeats: int = 9) -> float:
    """Median process time of noise on the grid for a whole update."""
    how, nothing = noise_of(work)
    source, found = SecureSource(), []
    for _ in range(repeats):
        started = time.process_time()
        restored(noised(nothing, how, source), how, work.users)
        found.append(time.process_time() - started)
    return statistics.median(found)


def ledger_seconds(repeats: int = 9) -> float:
    """Median time on the clock to reserve and commit one round, in a ledger on this disk."""
    key, event, found = Key("benchmark"), Event(NOISE_MULTIPLIER, 0.01), []
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "ledger.sqlite", epsilon=100.0, delta=1e-5) as ledger,
    ):
        ledger.register(key, "run", event, repeats)
        for number in range(repeats):
            started = time.perf_counter()
            ledger.commit(ledger.reserve(key, "run", number, event), f"{number:064x}")
            found.append(time.perf_counter() - started)
    return statistics.median(found)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Opacus's warnings about what PyTorch has renamed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
