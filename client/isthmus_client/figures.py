"""Figures as they stand in JSON files: a model's quality, and a difference of two models.

A figure that does not exist is None (null), never NaN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.files import write_text
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


class Document(Figures):
    """Figures that are a file of their own.

    Attributes:
        WHAT: what the file is, for errors.
        ABSENT: what to do where it is not there; "" = nothing to advise.
        BROKEN: what to do where it breaks the schema.
    """

    WHAT: ClassVar[str]
    ABSENT: ClassVar[str] = ""
    BROKEN: ClassVar[str] = ""

    def to_json(self) -> str:
        """As the text of the file."""
        return self.model_dump_json(indent=2) + "\n"

    def save(self, path: Path) -> None:
        """Write the file, wholly or not at all.

        Raises:
            OSError: the folder cannot be written or the disk is full.
        """
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            DataMissingError: there is no such file.
            DataInvalidError: it is not JSON, or breaks the schema; lists every finding.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise DataMissingError(f"no {cls.WHAT} at {path}", hint=cls.ABSENT) from error
        except ValidationError as error:
            version = cls.model_fields["schema_version"].default
            raise DataInvalidError(
                f"{path} is no {cls.WHAT} file of schema version {version}:\n{_listed(error)}",
                hint=cls.BROKEN,
            ) from error


def _listed(error: ValidationError) -> str:
    """One line for each finding: where, and what was wrong."""
    places = (
        (".".join(map(str, found["loc"])) or "file", found["msg"]) for found in error.errors()
    )
    return "\n".join(f"  {place}: {message}" for place, message in places)


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
