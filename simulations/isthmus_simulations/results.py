"""What a simulation found: the models of `results.json`, documented in docs/results-schema.md.

A figure that does not exist is None (null), never NaN. Order is kept: platforms, models, buckets
and stages stand in the file as the run produced them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, BaseModel, Field, JsonValue, ValidationError

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.files import write_text
from isthmus_client import figures

SCHEMA_VERSION: Literal[1] = 1

ModelName = Literal[
    "popularity",
    "own_history",
    "item_knn",
    "prior",
    "content",
    "local",
    "federated",
    "personalised",
    "pooled",
]
MODELS: tuple[ModelName, ...] = get_args(ModelName)
"""In the order of a report: baselines, what a platform can do alone, the federation, the bound."""

MAIN_DIFFERENCE = "personalised - best baseline"
"""The difference of the headlines: the candidate over the best model that a platform has alone."""

NewcomerModel = Literal["popularity", "item_knn", "prior", "local", "release", "personalised"]

Share = figures.Share
Count = figures.Count
Seconds = figures.Seconds
Metrics = figures.Metrics
BucketMetrics = figures.BucketMetrics
PairedDifference = figures.PairedDifference


class _Figures(BaseModel):
    """See `isthmus_client.figures.Figures`."""

    model_config = figures.Figures.model_config


class Buckets(_Figures):
    """Quality by the user's history length and by the target item's training events."""

    history: dict[str, dict[ModelName, BucketMetrics]] = {}
    item: dict[str, dict[ModelName, BucketMetrics]] = {}


class Gate(_Figures):
    """The no-harm gate's certificate: decided on the validation window alone."""

    decision: Literal["federated", "local"]
    served: ModelName
    candidate: ModelName
    incumbent: ModelName
    difference: float | None
    low: float | None
    high: float | None
    users: Count
    validation: dict[ModelName, Share | None]


class CurvePoint(_Figures):
    """Validation quality after some training."""

    step: Annotated[float, Field(ge=0)]
    seconds: Seconds | None = None
    ndcg: Share | None = Field(validation_alias="ndcg@10", serialization_alias="ndcg@10")


class Curves(_Figures):
    """How each way of training went on one platform's validation window."""

    federated: tuple[CurvePoint, ...] = ()
    local: tuple[CurvePoint, ...] = ()
    pooled: tuple[CurvePoint, ...] = ()
    personalised: tuple[CurvePoint, ...] = ()


class PlatformResults(_Figures):
    """Everything that was measured on one platform."""

    users: Count
    items: Count
    events: Count
    training_users: Count
    test_users: Count
    models: dict[ModelName, Metrics]
    repeat_models: dict[ModelName, Metrics] = {}
    buckets: Buckets = Buckets()
    best_baseline: ModelName | None = None
    differences: dict[str, PairedDifference] = {}
    gate: Gate | None = None
    curves: Curves = Curves()
    seconds: dict[str, Seconds] = {}


class NewcomerSize(_Figures):
    """What the newcomer gets with so many of its own users."""

    users: Count
    models: dict[NewcomerModel, Metrics]
    differences: dict[str, PairedDifference] = {}


class Newcomer(_Figures):
    """A platform that the federation never saw, from its first day on."""

    platform: str
    test_users: Count
    sizes: tuple[NewcomerSize, ...]


class Cost(_Figures):
    """What the run cost."""

    seconds: dict[str, Seconds]
    total_seconds: Seconds
    peak_memory_mb: Annotated[float, Field(ge=0)] | None = None
    bytes_up_per_round_per_platform: Count
    bytes_down_per_round_per_platform: Count
    encoder_parameters: Count
    rounds: Count


class Privacy(_Figures):
    """What may be claimed about the users' privacy."""

    mechanism: str
    statement: str
    epsilon: Annotated[float, Field(gt=0)] | None = None
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    note: str = ""


class ScenarioInfo(_Figures):
    """Which federation was simulated."""

    name: str
    description: str = ""


class SplitInfo(_Figures):
    """How histories were cut into training, validation and test."""

    kind: Literal["time", "leave-one-out"]
    validation_start: AwareDatetime | None = None
    test_start: AwareDatetime | None = None


class Intervals(_Figures):
    """How every interval in the file was made."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=1)] = 2000


class Results(_Figures):
    """The content of `results.json`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    created: AwareDatetime
    scenario: ScenarioInfo
    split: SplitInfo
    intervals: Intervals = Intervals()
    privacy: Privacy
    platforms: dict[str, PlatformResults] = Field(min_length=1)
    newcomer: Newcomer | None = None
    cost: Cost
    config: dict[str, JsonValue]
    versions: dict[str, str]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> str:
        """As the text of `results.json`."""
        return self.model_dump_json(indent=2) + "\n"

    def save(self, path: Path) -> None:
        """Write `results.json`, wholly or not at all.

        Raises:
            OSError: the folder cannot be written or the disk is full.
        """
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a `results.json`.

        Raises:
            DataMissingError: there is no such file.
            DataInvalidError: it is not JSON, or breaks the schema; lists every finding.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise DataMissingError(
                f"no results at {path}", hint="run `isthmus simulate` first, or name its folder"
            ) from error
        except ValidationError as error:
            raise DataInvalidError(
                f"{path} is no results file of schema version {SCHEMA_VERSION}:\n{_listed(error)}",
                hint="docs/results-schema.md says what each field holds",
            ) from error


def _listed(error: ValidationError) -> str:
    """One line for each finding: where, and what was wrong."""
    places = (
        (".".join(map(str, found["loc"])) or "file", found["msg"]) for found in error.errors()
    )
    return "\n".join(f"  {place}: {message}" for place, message in places)
