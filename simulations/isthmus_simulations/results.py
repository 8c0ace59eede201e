"""What a simulation found: the models of `results.json`, documented in docs/results-schema.md.

A figure that does not exist is None (null), never NaN. Order is kept: platforms, models, buckets
and stages stand in the file as the run produced them.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AwareDatetime, Field, JsonValue

from isthmus_client import figures
from isthmus_client.figures import Document, Figures
from isthmus_client.track_record import Both

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


class Buckets(Figures):
    """Quality by the user's history length and by the target item's training events."""

    history: dict[str, dict[ModelName, BucketMetrics]] = Field(default_factory=dict)
    item: dict[str, dict[ModelName, BucketMetrics]] = Field(default_factory=dict)


class Gate(Figures):
    """The no-harm gate's decision, on the validation window and any earlier run's track record.

    Attributes:
        both: the gain over both windows; None without a record.
    """

    decision: Literal["federated", "local"]
    served: ModelName
    candidate: ModelName
    incumbent: ModelName
    difference: float | None
    low: float | None
    high: float | None
    users: Count
    both: Both | None = None
    validation: dict[ModelName, Share | None]


class CurvePoint(Figures):
    """Validation quality after some training."""

    step: Annotated[float, Field(ge=0)]
    seconds: Seconds | None = None
    ndcg: Share | None = Field(validation_alias="ndcg@10", serialization_alias="ndcg@10")


class Curves(Figures):
    """How each way of training went on one platform's validation window."""

    federated: tuple[CurvePoint, ...] = ()
    local: tuple[CurvePoint, ...] = ()
    pooled: tuple[CurvePoint, ...] = ()


class PlatformResults(Figures):
    """Everything that was measured on one platform."""

    users: Count
    items: Count
    events: Count
    training_users: Count
    test_users: Count
    models: dict[ModelName, Metrics]
    repeat_models: dict[ModelName, Metrics] = Field(default_factory=dict)
    buckets: Buckets = Buckets()
    best_baseline: ModelName | None = None
    differences: dict[str, PairedDifference] = Field(default_factory=dict)
    gate: Gate | None = None
    curves: Curves = Curves()
    seconds: dict[str, Seconds] = Field(default_factory=dict)


class NewcomerSize(Figures):
    """What the newcomer gets with so many of its own users."""

    users: Count
    models: dict[NewcomerModel, Metrics]
    differences: dict[str, PairedDifference] = Field(default_factory=dict)


class Newcomer(Figures):
    """A platform that the federation never saw, from its first day on."""

    platform: str
    test_users: Count
    sizes: tuple[NewcomerSize, ...]


class Cost(Figures):
    """What the run cost."""

    seconds: dict[str, Seconds]
    total_seconds: Seconds
    peak_memory_mb: Annotated[float, Field(ge=0)] | None = None
    bytes_up_per_round_per_platform: Count
    bytes_down_per_round_per_platform: Count
    encoder_parameters: Count
    rounds: Count
    ranker_rounds: Count = 0


class PrivateRun(Figures):
    """The published schedule of a private run, and what it costs whom."""

    trust: Literal["local", "pooled"]
    target_epsilon: Annotated[float, Field(gt=0)]
    noise_multiplier: Annotated[float, Field(gt=0)]
    noise_norm: Annotated[float, Field(gt=0)]
    sampling_rate: Annotated[float, Field(gt=0, le=1)]
    clipping_norm: Annotated[float, Field(gt=0)]
    clipping_quantile: Annotated[float, Field(ge=0, lt=1)] = 0.0
    last_clipping_norm: Annotated[float, Field(gt=0)] | None = None
    rounds: Count
    users: dict[str, Count]
    spent: dict[str, float]
    colluders: Count = 0
    overlap: dict[int, float] = Field(default_factory=dict)
    collusion: dict[int, float] = Field(default_factory=dict)
    audit: dict[str, float] = Field(default_factory=dict)
    audit_confidence: Share | None = None


class Privacy(Figures):
    """What may be claimed about the users' privacy."""

    mechanism: str
    statement: str
    epsilon: Annotated[float, Field(gt=0)] | None = None
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    note: str = ""
    run: PrivateRun | None = None


class ScenarioInfo(Figures):
    """Which federation was simulated."""

    name: str
    description: str = ""


class SplitInfo(Figures):
    """How histories were cut into training, validation and test."""

    kind: Literal["time", "leave-one-out"]
    validation_start: AwareDatetime | None = None
    test_start: AwareDatetime | None = None


class Intervals(Figures):
    """How every interval in the file was made."""

    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    resamples: Annotated[int, Field(ge=1)] = 2000


class Results(Document):
    """The content of `results.json`."""

    WHAT: ClassVar[str] = "results"
    ABSENT: ClassVar[str] = "run `isthmus simulate` first, or name its folder"
    BROKEN: ClassVar[str] = "docs/results-schema.md says what each field holds"

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
