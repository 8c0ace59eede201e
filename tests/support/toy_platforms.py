"""Small platforms without PyTorch: every trainer is real, quick, and fails in a way of its own."""

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from isthmus.errors import DataInvalidError
from isthmus.messages import RoundPlan
from isthmus.parameters import Private, Shared
from isthmus_client.receipts import append_receipt
from isthmus_client.trainer import LocalResult
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import ServerConfig

PLAN = RoundPlan(run_id="", round=0, seed=0)
INITIAL = Shared(
    {"encoder/w": np.zeros((3, 5), np.float32), "encoder/b": np.ones((4,), np.float32)}
)
SCORE = "validation/ndcg@10"


def server_config(rounds=3, **settings) -> ServerConfig:
    return ServerConfig(
        **{"run_id": "run-1", "rounds": rounds, "seed": 7, "plan": PLAN, **settings}
    )


@dataclass(frozen=True)
class Toy:
    """Pulls every tensor towards a target, with noise from the plan's seed and the round."""

    platform: str
    users: int = 11
    target: float = 1.0

    def train(self, parameters, plan):
        random = np.random.default_rng([plan.seed, plan.round, self.users])
        moved = {
            name: (t + 0.3 * (self.target - t) + random.normal(0, 0.01, t.shape)).astype(np.float32)
            for name, t in parameters.tensors.items()
        }
        metrics = self.evaluate(parameters, plan) if plan.validate else {}
        return LocalResult(Shared(moved).minus(parameters), self.users, {"loss": 0.25, **metrics})

    def evaluate(self, parameters, plan):  # noqa: ARG002 - the seam's face
        away = np.abs(parameters.tensors["encoder/w"] - self.target).mean()
        return {SCORE: float(1 / (1 + away))}


@dataclass(frozen=True)
class Raises(Toy):
    """Its data is broken, and its error quotes a user."""

    error: type[Exception] = ValueError

    def train(self, parameters, plan):  # noqa: ARG002 - the seam's face
        raise self.error("row 5 of user-4711 in /srv/orders.csv")


@dataclass(frozen=True)
class Diverges(Toy):
    """Trains to NaN."""

    def train(self, parameters, plan):
        result = super().train(parameters, plan)
        bad = {n: np.full_like(t, np.nan) for n, t in result.update.tensors.items()}
        return replace(result, update=Shared(bad))


@dataclass(frozen=True)
class Leaks(Toy):
    """Returns private parameters as if they were shared."""

    def train(self, parameters, plan):
        result = super().train(parameters, plan)
        return replace(result, update=Private(dict(result.update.tensors)))


@dataclass(frozen=True)
class DiesOnce(Toy):
    """Kills its process in one round, unless the marker says that it did."""

    round: int = 2
    marker: Path = Path("died")

    def train(self, parameters, plan):
        if plan.round == self.round and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().train(parameters, plan)


def toys(*names: str) -> list[Toy]:
    """Platforms with users and targets of their own."""
    return [Toy(name, users=5 + 3 * k, target=1.0 + k) for k, name in enumerate(names)]


def toy_from_folder(folder: Path) -> Toy:
    """What a worker process makes of a platform's folder: users and target from its name."""
    if not folder.name:
        raise DataInvalidError("a folder without a name")
    return Toy(folder.name, users=3 + len(folder.name), target=float(len(folder.name)))


@dataclass(frozen=True)
class DyingStore(CheckpointStore):
    """Kills its process at a chosen point of saving a round, once."""

    round: int = 2
    point: str = "before"  # before | between | after
    marker: Path = Path("died")

    def save(self, config, initial, state):
        self._die(state.round, "before")
        super().save(config, initial, state)
        self._die(state.round, "after")

    def _write_checkpoint(self, checkpoint):
        self._die(checkpoint.round, "between")
        super()._write_checkpoint(checkpoint)

    def _die(self, number, point):
        if (number, point) == (self.round, self.point) and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def write_receipts(path: Path, count: int = 4) -> list[str]:
    """So many receipts in a row; their hashes."""
    return [append_receipt(path, {"round": number}) for number in range(1, count + 1)]
