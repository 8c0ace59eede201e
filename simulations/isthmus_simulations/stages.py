"""Results of long stages, kept so that an interrupted run goes on where it stopped.

A stage is a trained encoder and its curve: `NAME.safetensors` and `NAME.json`, the JSON written
last and holding the tensors' fingerprint. A stage without a matching pair is computed again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load, save

from isthmus.border import merge
from isthmus.encoder import EncoderConfig, SharedEncoder, initial_encoder
from isthmus.files import write_bytes, write_json
from isthmus.parameters import Shared
from isthmus_client.local_training import CurvePoint


@dataclass(frozen=True)
class Trained:
    """A trained encoder's parameters and how its training went.

    Attributes:
        curves: one for each platform that was validated, by name.
        best: the step whose parameters these are.
        seconds: of computing.
    """

    parameters: Shared
    curves: dict[str, tuple[CurvePoint, ...]]
    best: float
    seconds: float


class Stages:
    """The finished stages of one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def once(self, name: str, compute: Callable[[], Trained]) -> Trained:
        """The stage's result: from disk if it is there, else computed and kept."""
        found = self._read(name)
        if found is not None:
            return found
        trained = compute()
        self._write(name, trained)
        return trained

    def _write(self, name: str, trained: Trained) -> None:
        shared = trained.parameters
        write_bytes(self._folder / f"{name}.safetensors", save(dict(shared.tensors)))
        curves = {key: [asdict(point) for point in curve] for key, curve in trained.curves.items()}
        body = {"curves": curves, "best": trained.best, "seconds": trained.seconds}
        write_json(self._folder / f"{name}.json", {**body, "fingerprint": shared.fingerprint()})

    def _read(self, name: str) -> Trained | None:
        note, tensors = self._folder / f"{name}.json", self._folder / f"{name}.safetensors"
        if not (note.exists() and tensors.exists()):
            return None
        try:
            body = json.loads(note.read_bytes())
            shared = Shared(load(tensors.read_bytes()))
        except (ValueError, SafetensorError):  # a damaged file: JSON's error is a ValueError
            return None
        if shared.fingerprint() != body["fingerprint"]:
            return None
        curves = {k: tuple(CurvePoint(**p) for p in points) for k, points in body["curves"].items()}
        return Trained(shared, curves, body["best"], body["seconds"])


def encoder_of(shared: Shared, config: EncoderConfig) -> SharedEncoder:
    """An encoder with the given parameters."""
    encoder = initial_encoder(config, seed=0)
    merge(encoder, shared)
    return encoder
