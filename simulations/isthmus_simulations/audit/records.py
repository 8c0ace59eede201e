"""What a run leaves for its audit, in `RUN/audit/`.

claim.json      what the run promised, and the schedule behind the promise
PLATFORM.npz    the auditor's secret and the attacker's scores: coordinates, signs, included, scores

A run writes its claim and each platform's canaries before the first round, and the scores after
every round, so that an interrupted run goes on with the same coins. Reading one runs no code.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.files import write_bytes
from isthmus.messages import Trust
from isthmus_client.dp.canaries import Canaries, Watch
from isthmus_client.figures import Count, Document

FOLDER: Final = "audit"
CLAIM: Final = "claim.json"
SCHEMA_VERSION: Literal[1] = 1
_ARRAYS: Final = {"coordinates": "i", "signs": "i", "included": "b", "scores": "f"}  # kinds

Positive = Annotated[float, Field(gt=0)]


class Claim(Document):
    """What a run promised about every user of every platform, and how it meant to keep it.

    Attributes:
        epsilon: of the whole run for one user of one platform; None for a run without privacy.
        delta: of the same; with `none`, the delta at which the audit's bound is given.
        mode: whom users must trust.
        platforms: with canaries, in the run's order.
        sampling_rate: Poisson, of users in a round; None without privacy.
        noise_multiplier: of the noise that an outsider faces over the clipping norm; None without
            privacy.
        rounds: that were released.
    """

    WHAT: ClassVar[str] = "privacy claim"
    ABSENT: ClassVar[str] = "name the folder of a run that was audited: it holds audit/claim.json"
    BROKEN: ClassVar[str] = "the run that wrote it has to be made again"

    schema_version: Literal[1] = SCHEMA_VERSION
    epsilon: Positive | None
    delta: Annotated[float, Field(gt=0, lt=1)]
    mode: Trust
    platforms: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")], ...],
        Field(min_length=1),
    ]
    sampling_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    noise_multiplier: Positive | None = None
    rounds: Count

    @model_validator(mode="after")
    def _private_wholly_or_not_at_all(self) -> Self:
        numbers = (self.epsilon, self.sampling_rate, self.noise_multiplier)
        present = [number is not None for number in numbers]
        if any(present) if self.mode == "none" else not all(present):
            raise ValueError(
                f"mode {self.mode} with epsilon {self.epsilon}, sampling_rate "
                f"{self.sampling_rate}, noise_multiplier {self.noise_multiplier}: without privacy "
                "all three are null, with it none is"
            )
        if len(set(self.platforms)) < len(self.platforms):
            raise ValueError("a platform is named twice")
        return self


def claim_path(run: Path) -> Path:
    """Where a run's claim stands."""
    return run / FOLDER / CLAIM


def watch_path(run: Path, platform: str) -> Path:
    """Where a platform's canaries and scores stand."""
    return run / FOLDER / f"{platform}.npz"


def write_watch(run: Path, platform: str, watch: Watch) -> None:
    """Write a platform's canaries and scores, wholly or not at all.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    canaries, held = watch.canaries, io.BytesIO()
    np.savez(
        held,
        coordinates=canaries.coordinates,
        signs=canaries.signs,
        included=canaries.included,
        scores=watch.scores,
    )
    write_bytes(watch_path(run, platform), held.getvalue())


def read_watch(run: Path, platform: str) -> Watch:
    """A platform's canaries and scores.

    Raises:
        DataMissingError: there are none.
        DataInvalidError: the file is damaged, or its arrays do not belong together.
    """
    path = watch_path(run, platform)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            found = {name: np.asarray(arrays[name]) for name in arrays.files}
    except FileNotFoundError as error:
        raise DataMissingError(
            f"no canaries of {platform} at {path}", hint="the run was not audited, or not here"
        ) from error
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataInvalidError(f"{path} is damaged: {error}") from error
    _require_arrays(path, found)
    canaries = Canaries(
        found["coordinates"].astype(np.int64),
        found["signs"].astype(np.int64),
        found["included"].astype(np.bool_),
    )
    return Watch(canaries, found["scores"].astype(np.float64))


def _require_arrays(path: Path, found: dict[str, npt.NDArray[np.generic]]) -> None:
    """The four arrays of one length, of their kinds, with values that can be."""
    kinds = {name: array.dtype.kind for name, array in found.items()}
    if kinds != _ARRAYS:
        raise DataInvalidError(f"{path} holds {kinds}, expected {_ARRAYS}")
    shapes = {name: array.shape for name, array in found.items()}
    if len(set(shapes.values())) > 1 or found["scores"].ndim != 1:
        raise DataInvalidError(f"{path}: arrays have shapes {shapes}, expected one (canaries,)")
    if not np.isfinite(found["scores"].astype(np.float64)).all():
        raise DataInvalidError(f"{path}: a score is NaN or infinite")
    coordinates = found["coordinates"].astype(np.int64)
    if np.unique(coordinates).size < coordinates.size:
        raise DataInvalidError(f"{path}: two canaries share a coordinate")
    if not np.isin(found["signs"].astype(np.int64), (-1, 1)).all():
        raise DataInvalidError(f"{path}: a sign is neither 1 nor -1")
