"""What a readiness report holds; `readiness.json` is this, and the page shows nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from isthmus.files import write_text

VERSION: Final = 1
Severity = Literal["error", "warning", "info"]
Verdict = Literal["ready", "usable with warnings", "refused"]
Count = Annotated[int, Field(ge=0)]
UnitShare = Annotated[float, Field(ge=0, le=1)]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "info")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FeedFacts(_Model):
    """What one file or query gave.

    Attributes:
        read: rows, malformed lines among them; = accepted + the sum of rejected.
        rejected: {reason: rows}.
        notes: how it was read, e.g. "a byte order mark".
    """

    name: str
    columns: tuple[str, ...] = ()
    read: Count = 0
    accepted: Count = 0
    rejected: dict[str, Count] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.read != self.accepted + sum(self.rejected.values()):
            raise ValueError(f"{self.name}: accepted and rejected rows are not the rows read")
        return self


class TableFacts(_Model):
    """One table of the contract and its feeds."""

    name: str
    feeds: tuple[FeedFacts, ...] = ()

    @property
    def read(self) -> int:
        """Rows, malformed lines among them."""
        return sum(feed.read for feed in self.feeds)

    @property
    def accepted(self) -> int:
        """Rows that would be used."""
        return sum(feed.accepted for feed in self.feeds)

    @property
    def rejected(self) -> dict[str, int]:
        """{reason: rows}, the most frequent first."""
        total: dict[str, int] = {}
        for feed in self.feeds:
            for reason, rows in feed.rejected.items():
                total[reason] = total.get(reason, 0) + rows
        return dict(sorted(total.items(), key=lambda pair: (-pair[1], pair[0])))


class Day(_Model):
    """Accepted events of one day or month, by behaviour; days without any are left out.

    Attributes:
        day: "2024-03-31", or "2024-03" of a month; in the platform's time zone.
    """

    day: str
    events: dict[str, Count]

    @property
    def total(self) -> int:
        """Events of all behaviours."""
        return sum(self.events.values())


class Distribution(_Model):
    """Quantiles and a histogram of one number.

    Attributes:
        count: values.
        quantiles: {"min", "p5", "p25", "median", "p75", "p95", "p99", "max"}; empty without values.
        edges: of the bins, one more than there are bins.
        bins: values in each bin; the last one holds its upper edge.
    """

    count: Count = 0
    quantiles: dict[str, float] = Field(default_factory=dict)
    edges: tuple[float, ...] = ()
    bins: tuple[Count, ...] = ()


class Statistics(_Model):
    """Of the accepted rows.

    Attributes:
        first: time of the first event, ISO 8601 in UTC; "" where there is none or no time.
        last: of the last one.
        days: number of days from the first to the last event, both included.
        items_with_events: of the catalogue.
        top_share: share of all events that are on the 1 % of items with the most events.
        lengths: events of a user.
        texts: characters of an item's text.
        prices: of items, where they have one; of events where items have none.
    """

    users: Count = 0
    items: Count = 0
    events: Count = 0
    behaviours: dict[str, Count] = Field(default_factory=dict)
    by_day: tuple[Day, ...] = ()
    by_month: tuple[Day, ...] = ()
    first: str = ""
    last: str = ""
    days: Count = 0
    items_with_events: Count = 0
    top_share: UnitShare = 0.0
    lengths: Distribution = Distribution()
    texts: Distribution = Distribution()
    prices: Distribution = Distribution()


class Example(_Model):
    """Where a finding can be seen, and what stands there.

    Attributes:
        feed: name of the file or table.
        line: in it, counted from 1 with a header; 0 where it is no line.
        values: {our column: what stands there}, user ids masked.
    """

    feed: str
    line: Count = 0
    values: dict[str, str] = Field(default_factory=dict)


class Finding(_Model):
    """One thing that a person should know.

    Attributes:
        code: of `codes.CODES`.
        table: "events", "items" or an optional one; "contract" where it is no table.
        column: our name of it, or theirs where we have none; "" where it is no column.
        what: in words, with the figures.
        count: rows, users, days or columns, as `what` says.
        share: of all that could have been so; 0 where that says nothing.
        advice: what to do.
    """

    code: str
    severity: Severity
    table: str
    column: str = ""
    what: str
    count: Count = 0
    share: UnitShare = 0.0
    example: Example | None = None
    advice: str


class Readiness(_Model):
    """Everything that the check found.

    Attributes:
        created: when, ISO 8601 in UTC.
        next_steps: what one may do now.
    """

    version: int = VERSION
    platform: str
    time_zone: str
    currency: str
    created: str
    verdict: Verdict
    tables: tuple[TableFacts, ...]
    statistics: Statistics
    findings: tuple[Finding, ...]
    next_steps: tuple[str, ...] = ()

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings of one severity."""
        return tuple(finding for finding in self.findings if finding.severity == severity)

    def to_json(self) -> str:
        """The whole report, ending with a new line."""
        return self.model_dump_json(indent=2) + "\n"

    def save(self, path: Path) -> None:
        """Write `readiness.json`, wholly or not at all.

        Raises:
            OSError: the folder cannot be written or the disk is full.
        """
        write_text(path, self.to_json())


def verdict_of(findings: tuple[Finding, ...]) -> Verdict:
    """Refused for an error, usable for a warning, ready for anything less."""
    found = {finding.severity for finding in findings}
    if "error" in found:
        return "refused"
    return "usable with warnings" if "warning" in found else "ready"
