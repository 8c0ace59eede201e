"""Figures as they stand in JSON files: a model's quality, and a difference of two models.

A figure that does not exist is None (null), never NaN.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from isthmus.statistics import Difference
from isthmus_client.ranking import Ranking

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Figures(BaseModel):
    """Frozen; unknown names and NaN are refused; fields may be given by name or by alias.

    Aliases are set as validation and serialization alias: type checkers would take a plain
    `alias` for the only name of the constructor's argument, and "ndcg@10" is none in Python.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


class Metrics(Figures):
    """Full-ranking quality of one model on one platform's test window."""

    ndcg: Share | None = Field(validation_alias="ndcg@10", serialization_alias="ndcg@10")
    hr: Share | None = Field(default=None, validation_alias="hr@10", serialization_alias="hr@10")
    mrr: Share | None = None
    coverage: Share | None = Field(
        default=None, validation_alias="coverage@10", serialization_alias="coverage@10"
    )
    users: Count

    @classmethod
    def of(cls, ranking: Ranking) -> Metrics:
        """A ranking's means."""
        if not ranking.users.size:
            return cls(ndcg=None, users=0)
        means = ranking.summary()
        return cls(
            ndcg=means["ndcg@10"],
            hr=means["hr@10"],
            mrr=means["mrr"],
            coverage=means["coverage@10"],
            users=ranking.users.size,
        )


class BucketMetrics(Figures):
    """Quality of one model on the part of the test users that a bucket holds."""

    ndcg: Share | None = Field(validation_alias="ndcg@10", serialization_alias="ndcg@10")
    users: Count


class PairedDifference(Figures):
    """Candidate minus baseline in NDCG@10 over the same users, with its bootstrap interval."""

    difference: float
    low: float
    high: float
    relative: float | None = None
    relative_low: float | None = None
    relative_high: float | None = None
    users: Count
    p_value: Share | None = None

    @classmethod
    def of(cls, difference: Difference) -> PairedDifference:
        """From `isthmus.statistics.paired_bootstrap`."""
        return cls(
            difference=difference.mean,
            low=difference.low,
            high=difference.high,
            relative=difference.relative,
            relative_low=difference.relative_low,
            relative_high=difference.relative_high,
            users=difference.users,
            p_value=difference.p_value,
        )
