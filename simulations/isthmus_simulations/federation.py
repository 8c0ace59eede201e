"""The federation of a simulation: the server's and the clients' Flower apps over either engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from safetensors.numpy import load, save

from isthmus.encoder import EncoderConfig
from isthmus.files import write_bytes, write_json
from isthmus.parameters import Shared
from isthmus_client.federated_trainer import FederatedTrainer, initial_parameters
from isthmus_client.local_training import CurvePoint
from isthmus_client.platform_files import load_platform, save_platform
from isthmus_client.ranker_trainer import RankerData, RankerTrainer, initial_ranker_parameters
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.workspace import Workspace
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.history import EVERYBODY, RunResult
from isthmus_simulations.engines.platforms import FolderOutboxes
from isthmus_simulations.engines.runner import run_federation
from isthmus_simulations.job import Job
from isthmus_simulations.private_federation import federate_privately
from isthmus_simulations.secure_federation import SimulatedCohort
from isthmus_simulations.stages import encoder_of

_CONFIG = "encoder.json"
_ENCODER = "encoder.safetensors"
_RANKER = "ranker.json"


def federate(job: Job, workspaces: Sequence[Workspace]) -> RunResult:
    """Run, or resume, the federation of the workspaces' platforms, privately if the plan says so.

    The memory engine works on the workspaces that this process holds; Ray's workers read the same
    platforms from disk.
    """
    options, plan = job.options, job.plan
    if plan.private is not None:
        return federate_privately(job, workspaces)
    in_memory = options.engine == "memory"
    folders = [] if in_memory else _save(options.out / "platforms", workspaces, plan.encoder)
    store = CheckpointStore(options.out / "rounds")
    config = plan.server(options.out.name, len(workspaces))
    cohort = SimulatedCohort.of(job, config, [w.platform.name for w in workspaces])
    with job.progress.track("federation, rounds", plan.rounds) as advance:
        return run_federation(
            options.engine,
            server_config=cohort.config,
            seats=cohort.seats,
            initial=initial_parameters(plan.encoder, plan.seed),
            store=store,
            outboxes=FolderOutboxes(options.out / "outbox"),
            folders=folders,
            trainer_factory=None if in_memory else trainer_from_folder,
            trainers=[FederatedTrainer(w, plan.encoder) for w in workspaces] if in_memory else [],
            on_round=lambda _: advance(1),
            workers=job.workers,
            resume=not store.is_empty(),
        )


def federate_ranker(job: Job, data: Sequence[RankerData], encoder: Shared) -> RunResult:
    """Run, or resume, the rounds that train the shared ranker around a released encoder.

    None under differential privacy: a ranker reads statistics of all users, so that one user moves
    every other one's example, and no clipping bounds that. The plan's stand-in is released.
    """
    options, plan = job.options, job.plan
    if plan.private is not None:
        start = initial_ranker_parameters(plan.seed, plan.stand_in)
        return RunResult(start, start, best_round=0, rounds=(), validation=({},))
    in_memory = options.engine == "memory"
    module = encoder_of(encoder, plan.encoder)
    folders = [] if in_memory else _save_release(options.out / "platforms", data, encoder)
    store = CheckpointStore(options.out / "ranker-rounds")
    config = plan.ranker_server(f"{options.out.name}-ranker", len(data))
    cohort = SimulatedCohort.of(job, config, [each.workspace.platform.name for each in data])
    with job.progress.track("federation of the ranker, rounds", plan.rounds) as advance:
        return run_federation(
            options.engine,
            server_config=cohort.config,
            seats=cohort.seats,
            initial=initial_ranker_parameters(plan.seed, plan.ranker_start),
            store=store,
            outboxes=FolderOutboxes(options.out / "outbox" / "ranker"),
            folders=folders,
            trainer_factory=None if in_memory else ranker_trainer_from_folder,
            trainers=[RankerTrainer(each, module) for each in data] if in_memory else [],
            on_round=lambda _: advance(1),
            workers=job.workers,
            resume=not store.is_empty(),
        )


def _save_release(parent: Path, data: Sequence[RankerData], encoder: Shared) -> list[Path]:
    """Write what another process needs for the ranker's rounds beside the saved platforms."""
    write_bytes(parent / _ENCODER, save(dict(encoder.tensors)))
    write_json(parent / _RANKER, {"seed": data[0].seed, "settings": asdict(data[0].settings)})
    return [parent / each.workspace.platform.name for each in data]


def ranker_trainer_from_folder(folder: Path) -> RankerTrainer:
    """The ranker's trainer of a platform that `federate` saved; Ray's workers call it."""
    config = EncoderConfig(**json.loads((folder.parent / _CONFIG).read_text()))
    told = json.loads((folder.parent / _RANKER).read_text())
    workspace = Workspace(load_platform(folder), config.max_events)
    encoder = encoder_of(Shared(load((folder.parent / _ENCODER).read_bytes())), config)
    settings = RankerSettings(**told["settings"])
    return RankerTrainer(RankerData(workspace, told["seed"], settings), encoder)


def _save(parent: Path, workspaces: Sequence[Workspace], config: EncoderConfig) -> list[Path]:
    """Write the platforms and the encoder's shape where another process finds them."""
    write_json(parent / _CONFIG, asdict(config))
    folders = [parent / workspace.platform.name for workspace in workspaces]
    for folder, workspace in zip(folders, workspaces, strict=True):
        save_platform(workspace.platform, folder)
    return folders


def trainer_from_folder(folder: Path) -> FederatedTrainer:
    """The trainer of a platform that `federate` saved; Ray's workers call it."""
    config = EncoderConfig(**json.loads((folder.parent / _CONFIG).read_text()))
    return FederatedTrainer(Workspace(load_platform(folder), config.max_events), config)


def federated_curves(run: RunResult) -> dict[str, tuple[CurvePoint, ...]]:
    """Each platform's validation after every round, with the seconds of all rounds so far.

    Under secure aggregation no platform's is known, and the points have no score.
    """
    names = sorted({name for scores in run.validation for name in scores} - {EVERYBODY})
    names = names or sorted({name for record in run.rounds for name in record.platforms})
    elapsed = [0.0]
    for record in run.rounds:
        if record.round > 0:
            elapsed.append(elapsed[-1] + record.seconds)
    return {
        name: tuple(
            CurvePoint(float(number), elapsed[min(number, len(elapsed) - 1)], scores.get(name))
            for number, scores in enumerate(run.validation)
        )
        for name in names
    }


def training_seconds(run: RunResult, platform: str) -> float:
    """Seconds that a platform worked for the federation; where sums alone are known, the mean."""
    parts = [(record.platforms.get(platform), record.sum) for record in run.rounds]
    told = [(summed or part).metrics for part, summed in parts if part is not None]
    return sum(float(metrics.get("seconds", 0.0)) for metrics in told)
