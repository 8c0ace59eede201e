"""What a trial found: the content of `trial.json`, documented in docs/trial.md."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field

from isthmus_client.figures import (
    BucketMetrics,
    Count,
    Document,
    Figures,
    Metrics,
    PairedDifference,
    Seconds,
    Share,
)
from isthmus_client.histories import SplitKind
from isthmus_client.track_record import Both, TrackRecord

SCHEMA_VERSION: Literal[1] = 1
MAIN_DIFFERENCE = "personalised - best own"


class OwnData(Figures):
    """What the trial was run on; no id and no event of anybody."""

    platform: str
    users: Count
    items: Count
    events: Count
    training_users: Count
    test_users: Count
    split: SplitKind
    validation_start: AwareDatetime | None = None
    test_start: AwareDatetime | None = None


class Tried(Figures):
    """Which release was tried."""

    fingerprint: str
    round: Count
    text_encoder: str
    parameters: Count


class GateFigures(Figures):
    """The no-harm gate's decision, on validation users whom no choice has seen.

    Attributes:
        difference: candidate minus incumbent; None without users.
        both: the gain over both windows, which decided; None without an earlier trial's record.
    """

    decision: Literal["federated", "local"]
    served: str
    candidate: str
    incumbent: str
    difference: PairedDifference | None
    users: Count
    both: Both | None = None
    validation: dict[str, Share | None]


class TrialSize(Figures):
    """What the platform has with so many of its own users.

    Attributes:
        gate: None with the catalogue alone: there is nobody to decide by.
        best_own: the best of the platform's own models, by the test window itself, which favours
            it over the release.
        seconds: of computing, to fit and tune each model.
    """

    users: Count
    models: dict[str, Metrics]
    best_own: str
    differences: dict[str, PairedDifference] = Field(default_factory=dict)
    gate: GateFigures | None = None
    seconds: dict[str, Seconds] = Field(default_factory=dict)


class TrialResults(Document):
    """The content of `trial.json`.

    Attributes:
        shared: what left the platform.
        sizes: by the number of own users; the last one has all.
        items: quality by how many training users the target had, with all own users.
        history: quality by the length of the user's history, with all own users.
        seconds: wall clock of the trial's stages.
        record: for the gate of a later trial; None where events have no times.
    """

    WHAT: ClassVar[str] = "trial"
    ABSENT: ClassVar[str] = "run `isthmus client trial` first"
    BROKEN: ClassVar[str] = "docs/trial.md says what each field holds"

    schema_version: Literal[1] = SCHEMA_VERSION
    created: AwareDatetime
    shared: str
    data: OwnData
    release: Tried
    sizes: tuple[TrialSize, ...] = Field(min_length=1)
    items: dict[str, dict[str, BucketMetrics]]
    history: dict[str, dict[str, BucketMetrics]]
    seconds: dict[str, Seconds]
    seed: int
    record: TrackRecord | None = None
    versions: dict[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def whole(self) -> TrialSize:
        """With all own users."""
        return self.sizes[-1]
