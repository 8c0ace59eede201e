"""What the benchmark found: `price.json`, documented in docs/price-of-privacy.md.

A figure that does not exist is None (null), never NaN. Shares are of 1.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, Field, JsonValue

from isthmus.statistics import Difference
from isthmus_client.figures import Count, Document, Figures, PairedDifference, Seconds, Share
from isthmus_simulations.price.cells import Attack, Way
from isthmus_simulations.results import Privacy
from isthmus_simulations.transfer.results import Goal

SCHEMA_VERSION: Literal[2] = 2


class Kept(Figures):
    """NDCG@10 as a share of another model's, with its bootstrap interval; an open end is None."""

    share: Annotated[float, Field(ge=0)]
    low: float | None
    high: float | None

    @classmethod
    def of(cls, difference: Difference) -> Kept | None:
        """One plus the relative difference; None where the other model's figure is 0."""
        if difference.relative is None:
            return None
        ends = (difference.relative_low, difference.relative_high)
        low, high = (None if end is None else 1 + end for end in ends)
        return cls(share=max(1 + difference.relative, 0.0), low=low, high=high)


class Line(Figures):
    """One way of training on one platform: means over users, who are means over seeds."""

    way: Way
    epsilon: float | None
    ndcg: Share = Field(validation_alias="ndcg@10", serialization_alias="ndcg@10")
    std: Annotated[float, Field(ge=0)] | None
    kept: Kept | None
    kept_of_noiseless: Kept | None
    over_prior: PairedDifference | None
    over_alone: PairedDifference | None
    over_private_alone: PairedDifference | None
    attack: Attack | None
    tpr_bound: Share | None


class PlatformPrice(Figures):
    """One platform over all seeds."""

    users: Count
    items: Count
    training_users: Count
    held_out: Count
    test_users: Count
    users_tested: Count
    lines: tuple[Line, ...]


class RunPrice(Figures):
    """One way of training: what it costs, and what may be claimed."""

    way: Way
    epsilon: float | None
    platform: str | None
    parameters: Count
    rounds: Annotated[float, Field(ge=0)]
    bytes: Annotated[float, Field(ge=0)]
    seconds: Seconds | None
    privacy: Privacy | None
    useful: bool | None
    impossible: str | None


class ScenarioPrice(Figures):
    """One scenario over all seeds."""

    split: Literal["time", "leave-one-out"]
    platforms: dict[str, PlatformPrice]
    runs: tuple[RunPrice, ...]
    limits: tuple[str, ...]


class PriceResults(Document):
    """The content of `price.json`."""

    WHAT: ClassVar[str] = "price of privacy"
    ABSENT: ClassVar[str] = "run `isthmus benchmark privacy` first"
    BROKEN: ClassVar[str] = "docs/price-of-privacy.md says what each field holds"

    schema_version: Literal[2] = SCHEMA_VERSION
    created: AwareDatetime
    quick: bool
    seeds: tuple[Count, ...] = Field(min_length=1)
    confidence: Share
    scenarios: dict[str, ScenarioPrice] = Field(min_length=1)
    goals: tuple[Goal, ...]
    config: dict[str, JsonValue]
    versions: dict[str, str]
    warnings: tuple[str, ...] = ()
