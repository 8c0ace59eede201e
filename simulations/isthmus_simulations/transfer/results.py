"""What the benchmark found: `transfer.json`, documented in docs/transfer-benchmark.md.

A figure that does not exist is None (null), never NaN. Shares, such as lifts, are of 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, JsonValue, ValidationError

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.files import write_text
from isthmus_client.figures import (
    BucketMetrics,
    Count,
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
    """One scenario over all seeds."""

    split: Literal["time", "leave-one-out"]
    rounds: tuple[Count, ...]
    best_rounds: tuple[Count, ...]
    seconds: tuple[Seconds, ...]


class Method(Figures):
    """How the figures were made."""

    candidate: str
    release: str
    recipe: str
    bound: str
    margin: float
    alpha: float
    confidence: float
    resamples: Count
    models: dict[str, Role]


class TransferResults(Figures):
    """The content of `transfer.json`."""

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

    def to_json(self) -> str:
        """As the text of `transfer.json`."""
        return self.model_dump_json(indent=2) + "\n"

    def save(self, path: Path) -> None:
        """Write `transfer.json`, wholly or not at all.

        Raises:
            OSError: the folder cannot be written or the disk is full.
        """
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> TransferResults:
        """Read a `transfer.json`.

        Raises:
            DataMissingError: there is no such file.
            DataInvalidError: it is not JSON, or breaks the schema.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise DataMissingError(
                f"no results at {path}", hint="run `isthmus benchmark transfer` first"
            ) from error
        except ValidationError as error:
            raise DataInvalidError(
                f"{path} is no transfer results file of schema version {SCHEMA_VERSION}:\n{error}",
                hint="docs/transfer-benchmark.md says what each field holds",
            ) from error
