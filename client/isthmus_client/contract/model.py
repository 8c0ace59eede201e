"""The model of a `platform.toml`: tables, columns, words, times, and what may be kept.

Every key is checked; a key that is not here is an error. Paths are relative to the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from isthmus.behaviours import BEHAVIOURS

Surface = Literal["pc", "mobile", "app", "mini_program", "store"]
Format = Literal["auto", "csv", "jsonl", "parquet", "duckdb", "sql"]
Duplicates = Literal["reject", "keep"]


def _known_behaviour(word: str) -> str:
    if word not in BEHAVIOURS:
        raise ValueError(f"{word!r} is none of {', '.join(BEHAVIOURS)}")
    return word


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
Behaviour = Annotated[str, AfterValidator(_known_behaviour)]
Share = Annotated[float, Field(gt=0, lt=1)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class PlatformPart(_Model):
    """Who the platform is.

    Attributes:
        time_zone: IANA name; of timestamps that name no zone.
        currency: ISO 4217 code of all prices; "" = not said.
        surfaces: those that the platform has; empty = not said.
        tasks: what its heads predict.
    """

    name: Name = "own"
    time_zone: str = "UTC"
    currency: Annotated[str, Field(pattern=r"^([A-Z]{3})?$")] = ""
    surfaces: tuple[Surface, ...] = ()
    tasks: tuple[str, ...] = ("next_item",)


class HistoryPart(_Model):
    """How much of the past is kept and read, and where it is cut.

    Attributes:
        retention_days: events older than this many days are rejected; 0 = none is.
        max_events: events of one history that the encoder reads.
        validation: share of all events before validation starts; unused without times.
        test: the same for the test.
    """

    retention_days: Annotated[int, Field(ge=0)] = 0
    max_events: Annotated[int, Field(ge=2, le=1000)] = 50
    validation: Share = 0.8
    test: Share = 0.9

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.validation < self.test:
            raise ValueError(f"validation {self.validation} is not before test {self.test}")
        return self


class LimitsPart(_Model):
    """When a feed is refused or a person is not a customer.

    Attributes:
        rejected_share: of rows; above it the feed is refused.
        events_a_day: of one user; above it the user is taken for a bot.
        max_price: of an item or event, in the platform's currency; 0 = no limit.
    """

    rejected_share: Share = 0.05
    events_a_day: Annotated[int, Field(gt=0)] = 1000
    max_price: Annotated[float, Field(ge=0)] = 0.0


class Table(_Model):
    """Where a table is, and how its columns are called.

    Attributes:
        source: a path, a glob, a folder, or a URL: `postgresql://`, `mysql://`, `s3://`,
            `duckdb:///file.duckdb`.
        table: of a database; or give `query`.
        query: a SELECT of a database.
        format: of files; "auto" goes by the name.
        delimiter: of a CSV file; "" = found by looking.
        encoding: of a CSV or JSON Lines file.
        credentials: a file that holds the database's password, mode 0600; None = the
            environment variable ISTHMUS_SOURCE_PASSWORD, or none at all.
        columns: {our name: their name}; what is not named is looked up by our name.
    """

    source: Annotated[str, Field(min_length=1)]
    table: str = ""
    query: str = ""
    format: Format = "auto"
    delimiter: Annotated[str, Field(max_length=1)] = ""
    encoding: str = "utf-8"
    credentials: Path | None = None
    columns: dict[str, str] = Field(default_factory=dict)


class EventsTable(Table):
    """One row an event.

    Columns: user_id, item_id, timestamp (where timed), and where there are: behaviour, surface,
    price, quantity, rating, order_id, session_id.

    Attributes:
        behaviours: {their word: ours}; ours need no entry.
        default_behaviour: of every event where the table has no such column.
        timed: false where events have no times: the order of a user's rows is then the order.
        time_format: "auto" (numbers are seconds, text is ISO 8601), "s", "ms", "us", "ns", or a
            pattern as of `strptime`.
        duplicates: whether rows that are equal in every mapped column are rejected or kept.
        labels: {label: the column that says when it became known}; checked for leakage.
    """

    behaviours: dict[str, Behaviour] = Field(default_factory=dict)
    default_behaviour: Behaviour = "purchase"
    timed: bool = True
    time_format: str = "auto"
    duplicates: Duplicates = "reject"
    labels: dict[str, str] = Field(default_factory=dict)


class ItemsTable(Table):
    """One row an item.

    Columns: item_id, title or text, and where there are: description, category, brand, price,
    image.
    """


class TextsTable(Table):
    """Customer-service texts: text, label, and where there are: user_id, timestamp."""


class ImpressionsTable(Table):
    """Campaign impressions: user_id, campaign, timestamp, and where there are: item_id, clicked."""


class RedemptionsTable(Table):
    """Coupons redeemed: user_id, campaign, timestamp, and where there are: item_id, value."""


class EdgesTable(Table):
    """Social edges: user_id, other_id, and where there are: kind, timestamp."""


class ImagesTable(Table):
    """Product images: item_id, path."""


class Contract(_Model):
    """A whole `platform.toml`.

    Attributes:
        folder: of the file, from which its relative paths are seen; no key of the file.
    """

    platform: PlatformPart = PlatformPart()
    history: HistoryPart = HistoryPart()
    limits: LimitsPart = LimitsPart()
    events: EventsTable
    items: ItemsTable
    service_texts: TextsTable | None = None
    impressions: ImpressionsTable | None = None
    redemptions: RedemptionsTable | None = None
    social_edges: EdgesTable | None = None
    images: ImagesTable | None = None
    folder: Path = Field(default=Path(), exclude=True)
