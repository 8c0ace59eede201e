"""A track record: what an earlier release turned out to be worth, on events that came after it.

The test window of an earlier run or trial lies before that of a later one, so that the later one's
gate may know it. Its models were chosen without it, which the validation window's were not.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import AwareDatetime, Field

from isthmus.errors import DataInvalidError
from isthmus_client.figures import Count, Document, Figures, Share

SCHEMA_VERSION: Literal[1] = 1
FOLDER: Final = "records"
PAIR: Final = 2  # users by whom a standard error exists
ADVICE: Final = "a record is of an earlier run or trial of the same platform, with the same models"
Quality = npt.NDArray[np.float64]


class Outdone(Figures):
    """One of the platform's own models on the earlier window.

    Attributes:
        ndcg: its mean NDCG@10.
        gain: the candidate's mean less its own.
        standard_error: of the gain.
    """

    ndcg: Share
    gain: float
    standard_error: Annotated[float, Field(ge=0)]


class Past(Figures):
    """The candidate and the platform's own models on one earlier window.

    Attributes:
        ndcg: the candidate's mean NDCG@10.
        own: each own model, by name.
    """

    users: Count
    ndcg: Share
    own: dict[str, Outdone]

    def share(self, value: float) -> float:
        """A value as a share of the best mean of all; of 1 where nobody ranks anything."""
        return value / (max(self.ndcg, *(each.ndcg for each in self.own.values())) or 1.0)


class Both(Figures):
    """A gain over two windows of equal weight, as a share of the best model's mean in each.

    Attributes:
        gain: mean of both.
        standard_error: of the gain in one window, root mean square of both. That of their mean
            would be smaller by the root of two; docs/decisions/0026 says why it is not taken.
    """

    gain: float
    standard_error: Annotated[float, Field(ge=0)]

    @property
    def sure(self) -> bool:
        """Whether the gain exceeds its standard error."""
        return self.gain > self.standard_error


class TrackRecord(Document):
    """The content of `records/PLATFORM.json`.

    Attributes:
        release: fingerprint of the release whose candidate was judged.
        first: the window's first event.
        last: its last one.

    Guarantees:
        Means over users, counts and times of two events; no value of a single user.
    """

    WHAT: ClassVar[str] = "track record"
    ABSENT: ClassVar[str] = ADVICE
    BROKEN: ClassVar[str] = "write it anew by running the earlier run or trial again"

    schema_version: Literal[1] = SCHEMA_VERSION
    created: AwareDatetime
    platform: str
    release: str
    first: AwareDatetime
    last: AwareDatetime
    past: Past


def past_of(candidate: str, qualities: Mapping[str, Quality], own: tuple[str, ...]) -> Past | None:
    """The record's figures; None with fewer than two users.

    Args:
        candidate: name of the federation's model.
        qualities: NDCG@10 of every model on the same users of a test window. each (users,)
        own: names of what the platform has without the federation.
    """
    theirs = qualities[candidate]
    if theirs.size < PAIR:
        return None
    return Past(
        users=int(theirs.size),
        ndcg=float(theirs.mean()),
        own={name: _outdone(theirs, qualities[name]) for name in own},
    )


def _outdone(theirs: Quality, ours: Quality) -> Outdone:
    gains = theirs - ours
    return Outdone(
        ndcg=float(ours.mean()),
        gain=float(gains.mean()),
        standard_error=float(gains.std(ddof=1) / np.sqrt(gains.size)),
    )


def require_usable(
    found: TrackRecord, path: Path, *, platform: str, own: tuple[str, ...], before: datetime
) -> None:
    """Refuse a record that the gate must not use.

    Args:
        found: the record.
        path: of the file that it came from, for errors.
        platform: whose it must be.
        own: the models that it must know.
        before: start of the test window that is to stay unseen.

    Raises:
        DataInvalidError: it is another platform's, lacks a model, or has seen the test window.

    Guarantees:
        No event at `before` or later has a part in the record.
    """
    if found.platform != platform:
        raise DataInvalidError(
            f"{path} is of platform {found.platform!r}, not {platform!r}", hint=ADVICE
        )
    if lacking := [name for name in own if name not in found.past.own]:
        raise DataInvalidError(f"{path} does not know the models {', '.join(lacking)}", hint=ADVICE)
    if found.last >= before:
        raise DataInvalidError(
            f"{path} was measured on events up to {found.last:%Y-%m-%d %H:%M}, and the test window "
            f"begins on {before:%Y-%m-%d %H:%M}: the gate would know the test",
            hint="name a run on data as they stood when the test window began: `end` in [split]",
        )
