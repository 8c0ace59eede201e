"""A platform's worker with canaries in it: `canary_worker.py NOTES PLATFORM_TOML`.

It works as the real one does. What it trains is part of a whole model with a private head whose
values are recognisable: the border between shared and private is what keeps them here. Into the
folder NOTES it writes what nobody else may see, for the test to look for: the head, the content
vectors, gradients and the histories' arrays; and apart from them what may leave, the updates.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from isthmus import border
from isthmus.parameters import Shared
from isthmus_client import federated_trainer
from isthmus_client.model import PlatformModel, PrivateHead
from isthmus_client.outbox import Outbox
from isthmus_client.worker import __main__ as program

DIM, ITEMS = 32, 90
_PREFIX = "shared."


def planted() -> PrivateHead:
    """Item residuals, biases and mixing weights that nothing else is equal to."""
    head, drawn = PrivateHead(ITEMS, DIM), torch.Generator().manual_seed(20261122)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) * 7.7)
    return head


class Notes:
    """Arrays in a folder, each under another name."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, kind: str, arrays) -> None:
        self._count += 1
        np.savez(self._folder / f"{kind}-{self._count:03d}.npz", **arrays)


def plant(notes: Notes) -> None:
    """Put the head beside the encoder, and note what there is."""
    head, real_split, real_train = planted(), border.split, federated_trainer.FederatedTrainer.train
    notes.keep("private", {name: each.detach().numpy() for name, each in head.named_parameters()})

    def split(shared):
        gradients = {n: p.grad.numpy() for n, p in shared.named_parameters() if p.grad is not None}
        if gradients:
            notes.keep("private", {f"gradient {name}": each for name, each in gradients.items()})
        out, kept = real_split(PlatformModel(shared, head))
        return Shared(
            {name.removeprefix(_PREFIX): each for name, each in out.tensors.items()}
        ), kept

    def train(self, parameters, plan):
        platform = self.workspace.platform
        arrays = {"vectors": platform.vectors, "content": self.workspace.content.numpy()}
        times = platform.histories.times.astype(np.float64)
        notes.keep("private", {**arrays, "times": times})
        return real_train(self, parameters, plan)

    federated_trainer.split = split
    federated_trainer.FederatedTrainer.train = train
    for name in ("send_update", "send_masked"):
        setattr(Outbox, name, _noted(getattr(Outbox, name), notes))


def _noted(real, notes):
    def send(self, delta, **others):
        notes.keep("update", dict(delta.tensors))
        return real(self, delta, **others)

    return send


if __name__ == "__main__":
    plant(Notes(Path(sys.argv[1])))
    sys.exit(program.main(sys.argv[2:]))
