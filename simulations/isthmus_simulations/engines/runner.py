"""One call that runs a federation on this machine, on either engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from isthmus.errors import ResumeError, ScenarioError
from isthmus.offline import stay_offline
from isthmus.parameters import Shared
from isthmus_client.app import OutboxFor, TrainerFor, build_client_app
from isthmus_client.secure_side import SeatFor
from isthmus_client.trainer import LocalTrainer
from isthmus_server.app import build_server_app
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import ServerConfig
from isthmus_server.history import RoundRecord, RunResult
from isthmus_server.results import read_result
from isthmus_simulations.engines.memory import run_in_memory
from isthmus_simulations.engines.platforms import (
    FolderTrainers,
    ReadyTrainers,
    TrainerFactory,
    names_of,
)

Engine = Literal["memory", "ray"]


def run_federation(
    engine: Engine,
    *,
    server_config: ServerConfig,
    initial: Shared,
    store: CheckpointStore,
    outboxes: OutboxFor,
    folders: Sequence[Path] = (),
    trainer_factory: TrainerFactory | None = None,
    trainers: Sequence[LocalTrainer] = (),
    on_round: Callable[[RoundRecord], None] = lambda _: None,
    workers: int = 2,
    resume: bool = False,
    seats: SeatFor | None = None,
) -> RunResult:
    """Run, or resume, a federation of platforms on this machine.

    Platforms are either folders with a factory, or (memory engine only) ready trainers. A folder
    carries the name of its platform.

    Args:
        engine: "memory" for this process, "ray" for Flower's Simulation Engine.
        server_config: the run's.
        initial: the parameters of round 0.
        store: where every round is kept.
        outboxes: each platform's door out, by its name; `FolderOutboxes` for plain ones.
        folders: one prepared platform each.
        trainer_factory: an importable top-level function that makes a folder's trainer.
        trainers: ready ones, instead of folders.
        on_round: called after each round that was saved.
        workers: platforms that work at the same time.
        seats: what each platform brings to secure aggregation, by its name (memory engine only);
            None = the server sees each platform's update.
        resume: go on where the store ends; otherwise the store must be empty.

    Raises:
        ScenarioError: the platforms are given in a way that the engine cannot use.
        ResumeError: the store holds another run, or any run while `resume` is off.
        FederationError: a round had too few good updates.
    """
    stay_offline()
    if not resume and not store.is_empty():
        raise ResumeError(f"{store.folder} holds a run already", hint="resume it, or clear it")
    if seats is not None and engine != "memory":
        raise ScenarioError(f"engine {engine}: secure aggregation runs in one process")
    trainer_for = _trainers(engine, folders, trainer_factory, trainers)
    client_app = build_client_app(trainer_for, outboxes, seats)
    server_app = build_server_app(server_config, initial, store, on_round)
    names = names_of(folders, trainers)
    if engine == "memory":
        run_in_memory(server_app, client_app, names, workers=workers)
    else:
        from isthmus_simulations.engines.ray import run_on_ray  # noqa: PLC0415 - Ray is an extra

        run_on_ray(server_app, client_app, names, workers=workers)
    return read_result(server_config, initial, store)


def _trainers(
    engine: Engine,
    folders: Sequence[Path],
    factory: TrainerFactory | None,
    trainers: Sequence[LocalTrainer],
) -> TrainerFor:
    if trainers and not folders and engine == "memory":
        return ReadyTrainers(tuple(trainers))
    if folders and factory is not None and not trainers:
        return FolderTrainers(tuple(folders), factory)
    raise ScenarioError(
        f"engine {engine}: {len(folders)} folders and {len(trainers)} trainers were given",
        hint="give folders with a trainer factory, or (memory engine only) trainers",
    )
