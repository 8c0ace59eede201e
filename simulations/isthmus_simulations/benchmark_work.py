"""The work that the round benchmark times: the real trainer on made-up histories."""

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
from isthmus.encoder import EncoderConfig, SharedEncoder, initial_encoder
from isthmus.files import write_json
from isthmus.messages import RoundPlan
from isthmus_client.catalogue import Catalogue
from isthmus_client.federated_trainer import FederatedTrainer, settings_of
from isthmus_client.histories import Histories, Split
from isthmus_client.platform import Platform
from isthmus_client.training import batches, generator, optimiser_for, train_content
from isthmus_client.workspace import Workspace

State = Mapping[str, Tensor]
"""A model's parameters by name, as PyTorch gives them."""

_ITEMS = 2000  # of each made-up catalogue
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
        dim = 8
        while _count(EncoderConfig(dim=dim, heads=4)) < self.parameters:
            dim += 8
        return EncoderConfig(dim=dim, heads=4)

    def plan(self) -> RoundPlan:
        """The template of a round's plan; nothing is validated."""
        return RoundPlan(
            "",
            0,
            0,
            max_steps=self.steps,
            batch_size=self.users,
            negatives=self.negatives,
            validate=False,
        )


def _count(config: EncoderConfig) -> int:
    """Parameters of an encoder, without building it in memory."""
    with torch.device("meta"):
        return sum(p.numel() for p in SharedEncoder(config).parameters())


class Worker:
    """One platform: its made-up data, and the same training on both sides of the comparison."""

    def __init__(self, name: str, work: Work) -> None:
        self.name = name
        self._work = work
        self._workspace = Workspace(_platform(name, work), max_events=work.events)
        self._model = initial_encoder(work.encoder(), work.seed)

    @property
    def users(self) -> int:
        """Training users: as many as the steps of one round see."""
        return self._work.users * self._work.steps

    def trainer(self) -> FederatedTrainer:
        """The platform's trainer, as a federation runs it."""
        return FederatedTrainer(self._workspace, self._work.encoder())

    def train_bare(self, state: State, number: int) -> State:
        """The trainer's steps of one round, without anything around them."""
        self._model.load_state_dict(state)
        plan = self._work.plan()
        random = generator(self._work.seed, "round", self.name, number)
        sequences = self._workspace.sequences
        parts = batches(sequences.training_users, settings_of(plan), plan.local_epochs, random)
        train_content(
            self._model,
            sequences,
            self._workspace.content,
            parts,
            settings=settings_of(plan),
            random=random,
            optimiser=optimiser_for(self._model, settings_of(plan)),
        )
        return {name: tensor.clone() for name, tensor in self._model.state_dict().items()}


def _platform(name: str, work: Work) -> Platform:
    """Users who buy one random item a day, all of it before the validation window."""
    random = generator(work.seed, name)
    users = work.users * work.steps
    count = users * work.events
    histories = Histories(
        user_ids=tuple(f"user-{number}" for number in range(users)),
        offsets=np.arange(0, count + 1, work.events, dtype=np.int64),
        items=random.integers(0, _ITEMS, count).astype(np.int32),
        behaviours=np.full(count, behaviour_code("purchase"), np.int8),
        times=np.tile(np.arange(work.events, dtype=np.int64) * 86_400, users),
        timed=True,
    )
    items = tuple(f"item-{number}" for number in range(_ITEMS))
    prices = np.ones(_ITEMS, np.float32)
    return Platform(
        name=name,
        catalogue=Catalogue(items, items, items, prices),
        vectors=random.normal(size=(_ITEMS, work.encoder().content)).astype(np.float32),
        histories=histories,
        split=Split("time", histories.offsets[1:], histories.offsets[1:]),
    )


class BareLoop:
    """Federated averaging as a plain PyTorch loop: no messages, checks, receipts or checkpoints.

    Args:
        workers: the platforms.
        start: the parameters of round 0.
        threads: platforms at work at the same time.
    """

    def __init__(self, workers: Sequence[Worker], start: State, threads: int) -> None:
        self._workers = workers
        self.state = {name: tensor.clone() for name, tensor in start.items()}
        self._pool = ThreadPoolExecutor(threads)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def round(self, number: int) -> None:
        """One round: train everywhere, then the mean weighted by users."""
        tasks = [self._pool.submit(w.train_bare, self.state, number) for w in self._workers]
        trained = [task.result() for task in tasks]
        users = sum(worker.users for worker in self._workers)
        shares = [worker.users / users for worker in self._workers]
        self.state = {
            name: torch.stack([s * t[name] for s, t in zip(shares, trained, strict=True)]).sum(0)
            for name in self.state
        }


def save_work(folder: Path, work: Work) -> None:
    """Leave the work for another process to find."""
    write_json(folder / _WORK_FILE, asdict(work))


def trainer_from_folder(folder: Path) -> FederatedTrainer:
    """The trainer of a platform's folder, in a process of its own with one thread."""
    torch.set_num_threads(1)
    work = Work(**json.loads((folder / _WORK_FILE).read_text()))
    return Worker(folder.name, work).trainer()
