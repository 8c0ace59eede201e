"""What the benchmark found: `transfer.json`, documented in docs/transfer-benchmark.md.

A figure that does not exist is None (null), never NaN. Shares, such as lifts, are of 1.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, JsonValue

from isthmus_client.figures import (
    BucketMetrics,
    Count,
    Document,
    Figures,
    PairedDifference,
    Seconds,
    Share,
)
from isthmus_simulations.transfer.comparing import Verdict
from isthmus_simulations.transfer.facts import CostPoint, Role

SCHEMA_VERSION: Literal[1] = 1

ComparisonName = Literal["candidate", "baseline", "recipe", "harder", "served", "release", "bound"]


class TrialSummary(Figures):
    """One configuration of a model's grid on one platform, over all seeds."""

    settings: dict[str, float | int | str]
    ndcg: Share | None = Field(validation_alias="ndcg@10", serialization_alias="ndcg@10")
    seconds: Seconds
    chosen: Count


class ModelTransfer(Figures):
    """One model on one platform: means over users, who are means over seeds."""

    role: Role
    ndcg: Share = Field(validation_alias="ndcg@10", serialization_alias="ndcg@10")
    hr: Share = Field(validation_alias="hr@10", serialization_alias="hr@10")
    mrr: Share
    std: Annotated[float, Field(ge=0)] | None
    gate: Share | None
    coverage: Share = Field(validation_alias="coverage@10", serialization_alias="coverage@10")
    seconds: Seconds
    trials: tuple[TrialSummary, ...] = ()


class Comparison(Figures):
    """A candidate against a baseline over the same users, with its tests."""

    candidate: str
    baseline: str
    difference: PairedDifference
    p_holm: Share
    p_no_loss: Share
    p_no_gain: Share
    no_harm: bool
    verdict: Verdict
    lifts: tuple[float | None, ...]


class CostTransfer(Figures):
    """Computing and bytes until a platform is as good as it gets alone; means over seeds."""

    seeds: Count
    seeds_reached: Count
    local_seconds: Seconds | None
    seconds: Seconds | None
    bytes: Annotated[float, Field(ge=0)] | None
    rounds: Annotated[float, Field(ge=0)] | None
    saved: float | None
    bytes_per_round: Annotated[float, Field(ge=0)]


class PlatformTransfer(Figures):
    """Everything about one platform over all seeds."""

    scenario: str
    platform: str
    users: Count
    items: Count
    events: Count
    training_users: Count
    test_users: Count
    models: dict[str, ModelTransfer]
    incumbents: dict[str, Count]
    strongest: str | None
    served: dict[str, Count]
    comparisons: dict[ComparisonName, Comparison]
    ratio_to_bound: Annotated[float, Field(ge=0)] | None
    history: dict[str, dict[str, BucketMetrics]]
    items_known: dict[str, dict[str, BucketMetrics]]
    cost: CostTransfer
    curves: dict[Literal["federated", "local"], tuple[CostPoint, ...]]


class SizeClass(Figures):
    """The lift of the candidate over what stands alone, for platforms of one size."""

    name: str
    platforms: Count
    goal: float
    mean_lift: float | None
    above_goal: Count


class Summary(Figures):
    """The benchmark in counts."""

    platforms: Count
    verdicts: dict[Verdict, Count]
    harmed_always: Count
    harmed_served: Count
    cells: Count
    cells_harmed_always: Count
    cells_harmed_served: Count
    no_harm_shown: Count
    sizes: tuple[SizeClass, ...]


class Goal(Figures):
    """One number to reach."""

    name: str
    target: str
    found: float | None
    met: bool | None
    note: str = ""


class ScenarioTransfer(Figures):
    """One scenario over all seeds; `rounds` are those of both federations, encoder and ranker."""

    split: Literal["time", "leave-one-out"]
    rounds: tuple[Count, ...]
    ranker_rounds: tuple[Count, ...]
    best_rounds: tuple[Count, ...]
    best_ranker_rounds: tuple[Count, ...]
    seconds: tuple[Seconds, ...]


class Method(Figures):
    """How the figures were made.

    Attributes:
        windows: that the gates looked at, in scenarios that are split by the clock.
    """

    candidate: str
    release: str
    recipe: str
    bound: str
    margin: float
    alpha: float
    confidence: float
    resamples: Count
    windows: Count = 1
    models: dict[str, Role]


class TransferResults(Document):
    """The content of `transfer.json`."""

    WHAT: ClassVar[str] = "transfer results"
    ABSENT: ClassVar[str] = "run `isthmus benchmark transfer` first"
    BROKEN: ClassVar[str] = "docs/transfer-benchmark.md says what each field holds"

    schema_version: Literal[1] = SCHEMA_VERSION
    created: AwareDatetime
    quick: bool
    seeds: tuple[Count, ...] = Field(min_length=1)
    method: Method
    scenarios: dict[str, ScenarioTransfer]
    platforms: tuple[PlatformTransfer, ...] = Field(min_length=1)
    summary: Summary
    goals: tuple[Goal, ...]
    config: dict[str, JsonValue]
    versions: dict[str, str]
    warnings: tuple[str, ...] = ()
