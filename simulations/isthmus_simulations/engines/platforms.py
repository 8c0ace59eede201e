"""How an engine finds a platform's trainer and outbox: values that another process can rebuild."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flwr.app import Context

from isthmus.errors import DataInvalidError
from isthmus.postprocessors import NoPrivacy, Postprocessor
from isthmus_client.outbox import DECLARED_METRICS, Outbox
from isthmus_client.trainer import LocalTrainer
from isthmus_simulations.engines.memory import PARTITION_ID

TrainerFactory = Callable[[Path], LocalTrainer]
"""An importable top-level function: another process must find it by name."""


@dataclass(frozen=True)
class FolderTrainers:
    """Trainers made from platforms' folders, each once in a process."""

    folders: tuple[Path, ...]
    factory: TrainerFactory

    def __call__(self, context: Context) -> LocalTrainer:
        """The trainer of a node.

        Raises:
            DataInvalidError: the folder is not named like its platform.
        """
        folder = self.folders[int(context.node_config[PARTITION_ID])]
        trainer = _cached_trainer(self.factory, folder)
        if trainer.platform != folder.name:
            raise DataInvalidError(
                f"folder {folder} holds platform {trainer.platform!r}",
                hint="a platform's folder carries the platform's name",
            )
        return trainer


@cache
def _cached_trainer(factory: TrainerFactory, folder: Path) -> LocalTrainer:
    return factory(folder)


@dataclass(frozen=True)
class ReadyTrainers:
    """Trainers that this process already holds."""

    trainers: tuple[LocalTrainer, ...]

    def __call__(self, context: Context) -> LocalTrainer:
        """The trainer of a node."""
        return self.trainers[int(context.node_config[PARTITION_ID])]


@dataclass(frozen=True)
class FolderOutboxes:
    """An outbox for each platform, with its receipts in a file of its name."""

    receipts: Path
    postprocessors: tuple[Postprocessor, ...] = (NoPrivacy(),)
    metrics: frozenset[str] = DECLARED_METRICS

    def __call__(self, platform: str) -> Outbox:
        """The outbox of a platform."""
        path = self.receipts / f"{platform}.jsonl"
        return Outbox(platform, path, self.postprocessors, self.metrics)


def names_of(folders: Sequence[Path], trainers: Sequence[LocalTrainer]) -> list[str]:
    """The platforms' names: of the trainers if there are any, else of the folders."""
    return [trainer.platform for trainer in trainers] or [folder.name for folder in folders]
