"""Every committed round on disk: tensors as safetensors, the rest as JSON; nothing half written.

    round-00012.safetensors   parameters/NAME and optimiser/SLOT/NAME
    round-00012.json          the record, the run's configuration, the SHA-256 of the tensors

The JSON file is written last: a round counts as committed when it is there, whole, and names the
tensors beside it. A crash at any point leaves the round before as the latest.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from isthmus.errors import ResumeError
from isthmus.files import digest, write_bytes, write_json
from isthmus.parameters import Shared
from isthmus_server.config import ServerConfig
from isthmus_server.history import RoundRecord
from isthmus_server.optimisers import Slots
from isthmus_server.rounds import Phase, RunState, fingerprint, next_phase

LAYOUT = 1  # of these files; a release that changes it raises this number
_PARAMETERS = "parameters/"
_OPTIMISER = "optimiser/"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """The JSON file of one round.

    Attributes:
        identity: the configuration that the parameters depend on, and the initial parameters.
        fingerprint: of the parameters.
        tensors: SHA-256 of the safetensors file.
        tensors_bytes: its length.
        record: None for round 0, the initial parameters.
        evaluation: metrics by platform of these parameters, if they were the run's last.
        clipping_norm: of the next private round; None in a file from before norms could adapt.
    """

    layout: int
    round: int
    identity: dict[str, str | int | float | bool]
    fingerprint: str
    tensors: str
    tensors_bytes: int
    record: RoundRecord | None
    evaluation: dict[str, dict[str, float]]
    clipping_norm: float | None = None


_SCHEMA: TypeAdapter[Checkpoint] = TypeAdapter(Checkpoint)


class _DamagedError(Exception):
    """A checkpoint that cannot be used; says why."""


@dataclass(frozen=True)
class CheckpointStore:
    """The rounds of one run in one folder.

    Attributes:
        folder: made when the first round is saved.
    """

    folder: Path

    def is_empty(self) -> bool:
        """Whether no round was ever committed here."""
        return not self._numbers()

    def clear(self) -> None:
        """Forget every round."""
        for path in self.folder.glob("round-*.*"):
            path.unlink()

    def sweep(self) -> None:
        """Delete what writers that were killed left beside the rounds; call it as the only writer.

        Raises:
            OSError: a file cannot be deleted.
        """
        for path in self.folder.glob(".round-*.tmp"):
            path.unlink(missing_ok=True)

    def save(self, config: ServerConfig, initial: Shared, state: RunState) -> None:
        """Write the last committed round of `state`; the JSON file last.

        Raises:
            OSError: the disk is full or the folder cannot be written; the round before stays good.
        """
        data = save(_to_tensors(state))
        self._write_tensors(state.round, data)
        checkpoint = Checkpoint(
            layout=LAYOUT,
            round=state.round,
            identity=_identity(config, initial),
            fingerprint=fingerprint(state),
            tensors=digest(data),
            tensors_bytes=len(data),
            record=state.history[-1] if state.history else None,
            evaluation={name: dict(metrics) for name, metrics in state.evaluation.items()},
            clipping_norm=state.clipping_norm,
        )
        self._write_checkpoint(checkpoint)

    def latest(self, config: ServerConfig, initial: Shared) -> RunState | None:
        """The run as of its latest undamaged round, ready to go on; None if there is none.

        A damaged round, and every round after it, is skipped with a warning: it is run again.

        Raises:
            ResumeError: the rounds belong to another configuration; the message names what differs.
        """
        chain = self._chain()
        if chain:
            _require_same(chain[0].identity, _identity(config, initial), self.folder)
        while chain:
            try:
                return _to_state(config, chain, self._read_tensors(chain[-1]))
            except _DamagedError as reason:
                _warn(self._path(chain[-1].round, "safetensors"), reason)
                chain.pop()
        return None

    def parameters(self, number: int) -> Shared:
        """The parameters that a round committed.

        Raises:
            ResumeError: the round is not here, or damaged.
        """
        try:
            return self._read_tensors(self._read_checkpoint(number))[0]
        except _DamagedError as reason:
            raise ResumeError(
                f"round {number} in {self.folder} cannot be read: {reason}",
                hint=f"delete {self._path(number, 'json')} and resume: rounds are made again",
            ) from reason

    def records(self) -> tuple[RoundRecord, ...]:
        """What is remembered of round 1, 2, ... up to the first gap."""
        return tuple(each.record for each in self._chain() if each.record is not None)

    def _chain(self) -> list[Checkpoint]:
        """The undamaged records of round 0, 1, ... up to the first gap."""
        chain: list[Checkpoint] = []
        for expected, number in enumerate(self._numbers()):
            try:
                chain.append(self._read_checkpoint(expected))
            except _DamagedError as reason:
                _warn(self._path(number, "json"), reason)
                break
        return chain

    def _numbers(self) -> list[int]:
        names = (path.stem.removeprefix("round-") for path in self.folder.glob("round-*.json"))
        return sorted(int(name) for name in names if name.isdigit())

    def _path(self, number: int, suffix: str) -> Path:
        return self.folder / f"round-{number:05d}.{suffix}"

    def _write_tensors(self, number: int, data: bytes) -> None:
        write_bytes(self._path(number, "safetensors"), data)

    def _write_checkpoint(self, checkpoint: Checkpoint) -> None:
        body = _SCHEMA.dump_python(checkpoint, mode="json")
        path = self._path(checkpoint.round, "json")
        write_json(path, {"checkpoint": body, "sha256": digest(_canonical(body))})

    def _read_checkpoint(self, number: int) -> Checkpoint:
        try:
            document = json.loads(self._path(number, "json").read_bytes())
            length = self._path(number, "safetensors").stat().st_size
            body, stated = document["checkpoint"], document["sha256"]
            checkpoint = _SCHEMA.validate_python(body)
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            raise _DamagedError(f"not a whole checkpoint ({type(error).__name__})") from error
        if digest(_canonical(body)) != stated or checkpoint.round != number:
            raise _DamagedError("its contents do not match their SHA-256")
        if length != checkpoint.tensors_bytes:
            raise _DamagedError(f"its tensors have {length} of {checkpoint.tensors_bytes} bytes")
        if checkpoint.layout != LAYOUT:
            raise _DamagedError(f"it has layout {checkpoint.layout}, this release reads {LAYOUT}")
        return checkpoint

    def _read_tensors(self, checkpoint: Checkpoint) -> tuple[Shared, Slots]:
        try:
            data = self._path(checkpoint.round, "safetensors").read_bytes()
            if digest(data) != checkpoint.tensors:
                raise _DamagedError("the tensors do not match their SHA-256")
            return _from_tensors(load(data))
        except (OSError, SafetensorError) as error:
            raise _DamagedError(f"the tensors cannot be read ({error})") from error


def _identity(config: ServerConfig, initial: Shared) -> dict[str, str | int | float | bool]:
    return {**config.identity(), "initial parameters": initial.fingerprint()}


def _canonical(body: object) -> bytes:
    return json.dumps(body, sort_keys=True).encode()


def _require_same(theirs: Mapping[str, object], ours: Mapping[str, object], folder: Path) -> None:
    names = sorted(theirs.keys() | ours.keys())
    odd = [n for n in names if theirs.get(n) != ours.get(n)]
    if odd:
        listed = ", ".join(f"{n} was {theirs.get(n)}, now {ours.get(n)}" for n in odd)
        raise ResumeError(
            f"the run in {folder} had another configuration: {listed}",
            hint="resume with the old settings, or start a new run in another folder",
        )


def _to_tensors(state: RunState) -> dict[str, Any]:
    tensors = {_PARAMETERS + name: t for name, t in state.parameters.tensors.items()}
    for slot, values in state.slots.items():
        tensors |= {f"{_OPTIMISER}{slot}/{name}": t for name, t in values.tensors.items()}
    return tensors


def _from_tensors(tensors: Mapping[str, Any]) -> tuple[Shared, Slots]:
    parameters: dict[str, Any] = {}
    slots: dict[str, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        if key.startswith(_PARAMETERS):
            parameters[key.removeprefix(_PARAMETERS)] = tensor
        else:
            slot, name = key.removeprefix(_OPTIMISER).split("/", 1)
            slots.setdefault(slot, {})[name] = tensor
    return Shared(parameters), {slot: Shared(values) for slot, values in slots.items()}


def _to_state(
    config: ServerConfig, chain: list[Checkpoint], tensors: tuple[Shared, Slots]
) -> RunState:
    parameters, slots = tensors
    history = tuple(checkpoint.record for checkpoint in chain if checkpoint.record is not None)
    last = chain[-1]
    norm = config.plan.clipping_norm if last.clipping_norm is None else last.clipping_norm
    state = RunState(
        Phase.IDLE, last.round, parameters, slots, history, last.evaluation, clipping_norm=norm
    )
    phase = next_phase(config, state)
    return replace(state, phase=phase, evaluation={} if phase is Phase.IDLE else last.evaluation)


def _warn(path: Path, reason: Exception) -> None:
    _log.warning("checkpoint %s is skipped: %s", path, reason)
