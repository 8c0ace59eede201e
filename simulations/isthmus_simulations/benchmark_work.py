"""The work that the round benchmark times: real training steps on made-up histories.

Both sides of a comparison run `Worker.steps`; only what is around it differs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from isthmus.behaviours import behaviour_code
from isthmus.border import merge, split
from isthmus.encoder import EncoderConfig, SharedEncoder, initial_encoder
from isthmus.files import write_json
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus_client.histories import Histories
from isthmus_client.sequences import Sequences
from isthmus_client.trainer import LocalResult
from isthmus_client.training import Settings, batches, generator, optimiser_for, train_content

_ITEMS = 2000  # of each made-up catalogue
_HORIZON = 5  # coming items that a target is drawn from
_WORK_FILE = "work.json"


@dataclass(frozen=True)
class Work:
    """What one platform does in one round."""

    parameters: int = 1_000_000  # at least, of the shared encoder
    steps: int = 5  # optimiser steps
    users: int = 64  # a step
    events: int = 20  # of each user
    negatives: int = 512  # of each step
    seed: int = 7

    def encoder(self) -> EncoderConfig:
        """The narrowest encoder with at least so many parameters."""
        dim = 4
        while _count(EncoderConfig(dim=dim, heads=4)) < self.parameters:
            dim += 4
        return EncoderConfig(dim=dim, heads=4)

    def plan(self) -> RoundPlan:
        """The template of a round's plan; nothing is validated."""
        return RoundPlan("", 0, 0, max_steps=self.steps, batch_size=self.users, validate=False)


def _count(config: EncoderConfig) -> int:
    """Parameters of an encoder, without building it in memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in SharedEncoder(config).parameters())


class Worker:
    """One platform: its model, its made-up histories, and the steps."""

    def __init__(self, name: str, work: Work) -> None:
        self.name = name
        self.users = work.users * work.steps
        self._work = work
        self._model = initial_encoder(work.encoder(), work.seed)
        self._settings = Settings(work.users, work.negatives, max_steps=work.steps)
        histories = _histories(self.users, work.events, generator(work.seed, name))
        stop = histories.offsets[1:]
        self._sequences = Sequences(histories, stop, max_events=50, horizon=_HORIZON)
        noise = np.random.default_rng(work.seed).normal(size=(_ITEMS, 384)).astype(np.float32)
        self._content = torch.nn.functional.normalize(torch.from_numpy(noise), dim=-1)

    @property
    def model(self) -> SharedEncoder:
        """The platform's copy of the shared encoder."""
        return self._model

    def steps(self, number: int) -> None:
        """The training of one round, from whatever the model now holds."""
        random = generator(self._work.seed, self.name, number)
        epochs = float(np.ceil(self._work.steps * self._work.users / self.users))
        parts = batches(self._sequences.training_users, self._settings, epochs, random)
        train_content(
            self._model,
            self._sequences,
            self._content,
            parts,
            settings=self._settings,
            random=random,
            optimiser=optimiser_for(self._model, self._settings),
        )


def _histories(users: int, events: int, random: np.random.Generator) -> Histories:
    """Users who buy one random item a day."""
    count = users * events
    return Histories(
        user_ids=tuple(f"user-{number}" for number in range(users)),
        offsets=np.arange(0, count + 1, events, dtype=np.int64),
        items=random.integers(0, _ITEMS, count).astype(np.int32),
        behaviours=np.full(count, behaviour_code("purchase"), np.int8),
        times=np.tile(np.arange(events, dtype=np.int64) * 86_400, users),
        timed=True,
    )


@dataclass(frozen=True)
class FederatedWorker:
    """A worker behind the seam of the federation."""

    worker: Worker

    @property
    def platform(self) -> str:
        """The worker's name."""
        return self.worker.name

    def train(self, parameters: Shared, plan: RoundPlan) -> LocalResult:
        """The steps of one round from the parameters received."""
        merge(self.worker.model, parameters)
        self.worker.steps(plan.round)
        return LocalResult(split(self.worker.model)[0], self.worker.users, {})

    def evaluate(self, parameters: Shared, plan: RoundPlan) -> Mapping[str, float]:  # noqa: ARG002
        """Nothing: the benchmark validates nothing."""
        return {}


class BareLoop:
    """Federated averaging as a plain PyTorch loop: no messages, checks, receipts or checkpoints.

    Args:
        workers: the platforms.
        start: the parameters of round 0.
        threads: platforms at work at the same time.
    """

    def __init__(
        self, workers: Sequence[Worker], start: Mapping[str, Tensor], threads: int
    ) -> None:
        self._workers = workers
        self.state = {name: tensor.clone() for name, tensor in start.items()}
        self._pool = ThreadPoolExecutor(threads)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def round(self, number: int) -> None:
        """One round: train everywhere, then the mean weighted by users."""
        trained = list(self._pool.map(lambda worker: self._train(worker, number), self._workers))
        users = sum(worker.users for worker in self._workers)
        shares = [worker.users / users for worker in self._workers]
        self.state = {
            name: torch.stack([s * t[name] for s, t in zip(shares, trained, strict=True)]).sum(0)
            for name in self.state
        }

    def _train(self, worker: Worker, number: int) -> dict[str, Tensor]:
        worker.model.load_state_dict(self.state)
        worker.steps(number)
        return {name: tensor.clone() for name, tensor in worker.model.state_dict().items()}


def save_work(folder: Path, work: Work) -> None:
    """Leave the work for another process to find."""
    write_json(folder / _WORK_FILE, asdict(work))


def worker_from_folder(folder: Path) -> FederatedWorker:
    """The worker of a platform's folder, in a process of its own with one thread."""
    torch.set_num_threads(1)
    work = Work(**json.loads((folder / _WORK_FILE).read_text()))
    return FederatedWorker(Worker(folder.name, work))
