"""The model of a `platform.toml`: tables, columns, words, times, and what may be kept.

Every key is checked; a key that is not here is an error. Paths are relative to the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from isthmus_client.contract import rules

Surface = Literal["pc", "mobile", "app", "mini_program", "store"]
Task = Literal[
    "next_item",
    "purchase",
    "click",
    "rating",
    "interest_migration",
    "churn",
    "return",
    "promotion",
    "cart_completion",
    "demand",
    "service_intent",
    "image_category",
    "similar_item",
    "social_referral",
]
Format = Literal["auto", "csv", "jsonl", "parquet", "duckdb", "sql"]
Duplicates = Literal["reject", "keep"]

Name = Annotated[str, AfterValidator(rules.plain_name)]
Behaviour = Annotated[str, AfterValidator(rules.known_behaviour)]
Share = Annotated[float, Field(gt=0, lt=1)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # it may be a password that stands in the wrong place
    )


class PlatformPart(_Model):
    """Who the platform is.

    Attributes:
        time_zone: IANA name; of timestamps that name no zone.
        currency: ISO 4217 code of all prices; "" = not said.
        surfaces: those that the platform has; empty = not said.
        tasks: what its heads are to predict; so far there is a head for "next_item" alone.
    """

    name: Name = "own"
    time_zone: Annotated[str, AfterValidator(rules.known_time_zone)] = "UTC"
    currency: Annotated[str, AfterValidator(rules.currency_code)] = ""
    surfaces: tuple[Surface, ...] = ()
    tasks: tuple[Task, ...] = ("next_item",)


class HistoryPart(_Model):
    """How much of the past is kept and read, and where it is cut.

    Attributes:
        retention_days: events older than this many days are rejected; 0 = none is.
        max_events: newest events of a history that an encoder is to read; 0 = as many as it was
            made for.
        validation: share of all events before validation starts; unused without times.
        test: the same for the test.
    """

    retention_days: Annotated[int, Field(ge=0)] = 0
    max_events: Annotated[int, Field(ge=0, le=1000)] = 0
    validation: Share = 0.8
    test: Annotated[Share, Field(validate_default=True)] = 0.9

    @field_validator("test")
    @classmethod
    def _in_order(cls, test: float, info: ValidationInfo) -> float:
        validation = info.data.get("validation", 0.0)
        if not validation < test:
            raise ValueError(f"{test} is not after validation, which starts at {validation}")
        return test


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
        format: of files; "auto" goes by the name.
        table: of a database; or give `query`.
        query: a SELECT of a database.
        delimiter: of a CSV file; "" = found by looking.
        encoding: of a CSV or JSON Lines file.
        credentials: a file that holds the database's password, mode 0600; None = the
            environment variable ISTHMUS_SOURCE_PASSWORD, or none at all.
        columns: {our name: their name}; what is not named is looked up by our name.
        ours: all columns that we know; no key of the file.
        needed: those without which there is no such table; no key of the file.
    """

    ours: ClassVar[tuple[str, ...]] = ()
    needed: ClassVar[tuple[str, ...]] = ()

    source: Annotated[str, AfterValidator(rules.without_password)]
    format: Format = "auto"
    table: str = ""
    query: Annotated[str, Field(validate_default=True)] = ""
    delimiter: Annotated[str, Field(max_length=1)] = ""
    encoding: Annotated[str, AfterValidator(rules.known_encoding)] = "utf-8"
    credentials: Annotated[Path, AfterValidator(rules.owned_file)] | None = None
    columns: dict[str, str] = Field(default_factory=dict)

    def theirs(self, ours: str) -> str:
        """Their name of a column of ours."""
        return self.columns.get(ours, ours)

    @property
    def is_database(self) -> bool:
        """Whether `source` is a database, of which `table` or `query` is read."""
        return rules.is_database(self.source, self.format)

    @field_validator("table", "query")
    @classmethod
    def _of_a_database(cls, value: str, info: ValidationInfo) -> str:
        """Table or query where there is a choice, neither where there is none."""
        before = info.data
        if {"source", "format"} <= before.keys():  # else they are wrong themselves
            database = rules.is_database(before["source"], before["format"])
            if value and not database:
                raise ValueError("is for a database, and the source is none")
            both = info.field_name == "query" and "table" in before
            if both and database and bool(before["table"]) == bool(value):
                raise ValueError("a database needs either a table or a query, one of the two")
        return value

    @field_validator("columns")
    @classmethod
    def _known_and_distinct(cls, columns: dict[str, str]) -> dict[str, str]:
        rules.refuse(rules.mapped_columns(columns, cls.ours, cls.needed))
        return columns


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
        duplicates: whether rows that repeat an earlier one (`rows.duplicates.EVENT_KEY`) are
            rejected or kept.
        labels: {label: the column that says when it became known}; checked for leakage.
    """

    ours = (
        "user_id",
        "item_id",
        "timestamp",
        "behaviour",
        "surface",
        "price",
        "quantity",
        "rating",
        "order_id",
        "session_id",
    )
    needed = ("user_id", "item_id", "timestamp")

    behaviours: dict[str, str] = Field(default_factory=dict)
    default_behaviour: Behaviour = "purchase"
    timed: bool = True
    time_format: Annotated[str, AfterValidator(rules.readable_time_format)] = "auto"
    duplicates: Duplicates = "reject"
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("behaviours")
    @classmethod
    def _unambiguous(cls, words: dict[str, str]) -> dict[str, str]:
        rules.refuse(rules.mapped_words(words))
        return words


class ItemsTable(Table):
    """One row an item.

    Columns: item_id, title or text, and where there are: description, category, brand, price,
    image.
    """

    ours = ("item_id", "title", "text", "description", "category", "brand", "price", "image")
    needed = ("item_id",)


class TextsTable(Table):
    """Customer-service texts: text, label, and where there are: user_id, timestamp."""

    ours = ("text", "label", "user_id", "timestamp")
    needed = ("text", "label")


class ImpressionsTable(Table):
    """Campaign impressions: user_id, campaign, timestamp, and where there are: item_id, clicked."""

    ours = ("user_id", "campaign", "timestamp", "item_id", "clicked")
    needed = ("user_id", "campaign", "timestamp")


class RedemptionsTable(Table):
    """Coupons redeemed: user_id, campaign, timestamp, and where there are: item_id, value."""

    ours = ("user_id", "campaign", "timestamp", "item_id", "value")
    needed = ("user_id", "campaign", "timestamp")


class EdgesTable(Table):
    """Social edges: user_id, other_id, and where there are: kind, timestamp."""

    ours = ("user_id", "other_id", "kind", "timestamp")
    needed = ("user_id", "other_id")


class ImagesTable(Table):
    """Product images: item_id, path."""

    ours = ("item_id", "path")
    needed = ("item_id", "path")


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

    @field_validator("events")
    @classmethod
    def _dated(cls, events: EventsTable, info: ValidationInfo) -> EventsTable:
        """A promise to keep nothing older must be one that can be kept."""
        history = info.data.get("history")
        if history is not None and history.retention_days and not events.timed:
            raise ValueError("events without times have no age: history.retention_days must be 0")
        return events
