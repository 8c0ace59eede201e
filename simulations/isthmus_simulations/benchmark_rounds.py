"""What a federated round costs over a bare PyTorch loop that does the same steps.

Rounds of both are run in turn, in one process and with equal threads, and compared in pairs, so
that whatever else the machine does hits both. The first pair warms up and does not count. In the
end both must hold the same parameters: else they did not do the same work.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from isthmus.errors import FederationError
from isthmus.parameters import Shared
from isthmus.progress import Advance, Progress, Silent
from isthmus_client.federated_trainer import initial_parameters
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import ServerConfig
from isthmus_server.history import RoundRecord
from isthmus_simulations.benchmark_work import (
    BareLoop,
    Work,
    Worker,
    save_work,
    trainer_from_folder,
)
from isthmus_simulations.engines.platforms import FolderOutboxes
from isthmus_simulations.engines.runner import Engine, run_federation

GOAL = 1.1  # times the bare loop, memory engine
GOAL_PLATFORMS = 10
_SAME = 1e-3  # relative difference that float32 sums in another order may make


@dataclass(frozen=True)
class Comparison:
    """One engine against the bare loop at one size.

    Attributes:
        ratios: seconds of the engine's round over the bare loop's round next to it.
        engine_seconds: of each round.
        bare_seconds: of each round.
        first_round_seconds: the engine's start and warm-up.
        fingerprint: of the engine's final parameters; the same for every engine.
    """

    engine: Engine
    platforms: int
    ratios: tuple[float, ...]
    engine_seconds: tuple[float, ...]
    bare_seconds: tuple[float, ...]
    first_round_seconds: float
    fingerprint: str

    @property
    def ratio(self) -> float:
        """The median ratio."""
        return statistics.median(self.ratios)


@dataclass
class _Stopwatch:
    """Times the engine's rounds, and runs a bare round after each."""

    bare: BareLoop
    advance: Advance
    engine_seconds: list[float] = field(default_factory=list)
    bare_seconds: list[float] = field(default_factory=list)
    mark: float = 0.0  # when the engine's present round began

    def __call__(self, record: RoundRecord) -> None:
        """The engine has saved a round."""
        began = time.perf_counter()
        self.engine_seconds.append(began - self.mark)
        self.bare.round(record.round)
        self.mark = time.perf_counter()
        self.bare_seconds.append(self.mark - began)
        self.advance(1)


def compare(
    engine: Engine,
    platforms: int,
    *,
    work: Work,
    rounds: int,
    threads: int,
    progress: Progress | None = None,
) -> Comparison:
    """Time one engine against the bare loop.

    Args:
        engine: "memory" or "ray".
        platforms: how many.
        work: of each platform in each round.
        rounds: that count; one more warms up.
        threads: platforms at work at the same time, on both sides.
        progress: told of every round.

    Raises:
        FederationError: the two ended with different parameters.
    """
    names = [f"platform-{number:03d}" for number in range(platforms)]
    label = f"{engine}, {platforms} platforms"
    with (
        _single_threaded(),
        tempfile.TemporaryDirectory() as folder,
        (progress or Silent()).track(label, rounds + 1) as advance,
        ExitStack() as ended,
    ):
        workers = [Worker(name, work) for name in names]
        initial = initial_parameters(work.encoder(), work.seed)
        bare = ended.enter_context(closing(BareLoop(workers, _state(initial), threads)))
        watch = _Stopwatch(bare, advance)
        watch.mark = time.perf_counter()
        config = ServerConfig(
            "benchmark", rounds + 1, work.seed, work.plan(), minimum_platforms=platforms
        )
        final = _federate(engine, Path(folder), workers, work, config, initial, threads, watch)
    _require_same(final, bare)
    return _paired(engine, platforms, watch, final.fingerprint())


def _federate(
    engine: Engine,
    folder: Path,
    workers: Sequence[Worker],
    work: Work,
    config: ServerConfig,
    initial: Shared,
    threads: int,
    watch: _Stopwatch,
) -> Shared:
    """Run the federation; its final parameters."""
    folders = [folder / worker.name for worker in workers] if engine == "ray" else []
    for path in folders:
        save_work(path, work)
    return run_federation(
        engine,
        server_config=config,
        initial=initial,
        store=CheckpointStore(folder / "rounds"),
        outboxes=FolderOutboxes(folder / "receipts"),
        folders=folders,
        trainer_factory=trainer_from_folder if folders else None,
        trainers=[] if folders else [worker.trainer() for worker in workers],
        on_round=watch,
        workers=threads,
    ).final


def _paired(engine: Engine, platforms: int, watch: _Stopwatch, fingerprint: str) -> Comparison:
    first, *ours = watch.engine_seconds
    bare = watch.bare_seconds[1:]
    return Comparison(
        engine=engine,
        platforms=platforms,
        ratios=tuple(a / b for a, b in zip(ours, bare, strict=True)),
        engine_seconds=tuple(ours),
        bare_seconds=tuple(bare),
        first_round_seconds=first,
        fingerprint=fingerprint,
    )


def _state(parameters: Shared) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(t.copy()) for name, t in parameters.tensors.items()}


def _require_same(final: Shared, bare: BareLoop) -> None:
    theirs = Shared({name: tensor.numpy() for name, tensor in bare.state.items()})
    difference = final.minus(theirs).norm() / max(final.norm(), 1e-12)
    if difference > _SAME:
        raise FederationError(
            f"engine and bare loop differ by {difference:.2g}: they did different work"
        )


@contextmanager
def _single_threaded() -> Iterator[None]:
    """One thread per PyTorch operation: the platforms are what runs in parallel."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
