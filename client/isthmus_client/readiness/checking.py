"""The readiness check: every table read once, everything that was found, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.progress import Progress
from isthmus_client.contract.model import Contract, Table
from isthmus_client.feeds import Feed, open_feeds
from isthmus_client.readiness import (
    event_checks,
    id_checks,
    leakage,
    time_checks,
)
from isthmus_client.readiness.database import open_database
from isthmus_client.readiness.examples import published
from isthmus_client.readiness.findings import Draft, draft, in_order
from isthmus_client.readiness.masking import Masker
from isthmus_client.readiness.optional_tables import OPTIONAL
from isthmus_client.readiness.results import (
    Readiness,
    Statistics,
    TableFacts,
    Verdict,
    verdict_of,
)
from isthmus_client.readiness.statistics import define_accepted, statistics_of
from isthmus_client.readiness.tables import EventLooks, read_events, read_items, read_optional
from isthmus_client.rows import COLUMNS

Feeds = Mapping[str, Sequence[Feed]]


def check(
    contract: Contract,
    progress: Progress,
    *,
    now: datetime,
    server_time: datetime | None = None,
) -> Readiness:
    """Read all that a contract names and say whether it is fit for use.

    Args:
        contract: of the platform.
        progress: shows the tables.
        now: with a zone; what lies a day after it is in the future.
        server_time: with a zone; the federation server's clock, to compare this one with.

    Raises:
        DataInvalidError: the accepted rows do not fit into memory.
        NotInstalledError: a source needs a package that is not there.

    Guarantees:
        Nothing is written, least of all in the clear; no user id and no malformed line is in the
        result; see `masking`.
    """
    feeds: dict[str, Sequence[Feed]] = {}
    missing: list[Draft] = []
    for name in tables_of(contract):
        try:
            feeds[name] = _open(contract, name)
        except (DataMissingError, DataInvalidError) as error:
            feeds[name] = ()
            missing.append(draft("unreadable_source", name, str(error), count=1, advice=error.hint))
    return check_feeds(contract, feeds, progress, now=now, server_time=server_time, before=missing)


def tables_of(contract: Contract) -> tuple[str, ...]:
    """Names of the tables that a contract has, items first: events are judged by them."""
    optional = tuple(name for name in OPTIONAL if getattr(contract, name) is not None)
    return ("items", "events", *optional)


def check_feeds(
    contract: Contract,
    feeds: Feeds,
    progress: Progress,
    *,
    now: datetime,
    server_time: datetime | None = None,
    before: Sequence[Draft] = (),
) -> Readiness:
    """As `check`, of feeds that are open.

    Args:
        contract: of the platform.
        feeds: {table: its feeds}.
        progress: as in `check`.
        now: as in `check`.
        server_time: as in `check`.
        before: what was found when they were opened.
    """
    masker = Masker()
    with open_database() as connection:
        connection.execute(
            'CREATE TEMP TABLE feed_names ("table" VARCHAR, feed SMALLINT, name VARCHAR)'
        )
        failed = {made.finding.table for made in before}
        define_accepted(connection, contract.platform.time_zone)
        read = _read(connection, contract, feeds, progress, failed=failed, now=_seconds(now))
        statistics = statistics_of(connection, timed=contract.events.timed)
        drafts = [*before, *read.drafts]
        if contract.events.timed:
            drafts += time_checks.unit_confusion(read.looks.units, contract)
        if statistics.events:
            server = None if server_time is None else _seconds(server_time)
            drafts += _judged(connection, contract, read, statistics, (_seconds(now), server))
        findings = in_order(
            [published(connection, masker, made, users_known=read.users_known) for made in drafts]
        )
    return Readiness(
        platform=contract.platform.name,
        time_zone=contract.platform.time_zone,
        currency=contract.platform.currency,
        created=now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        verdict=verdict_of(findings),
        tables=read.tables,
        statistics=statistics,
        findings=findings,
        next_steps=_next_steps(verdict_of(findings), statistics),
    )


@dataclass(frozen=True)
class _Read:
    tables: tuple[TableFacts, ...]
    drafts: list[Draft]
    looks: EventLooks
    users_known: bool


def _open(contract: Contract, name: str) -> Sequence[Feed]:
    table: Table = getattr(contract, name)
    return open_feeds(table, contract.folder, COLUMNS[name].all)


def _read(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    feeds: Feeds,
    progress: Progress,
    *,
    failed: set[str],
    now: int,
) -> _Read:
    """All tables, items first; one whose source failed has nothing to be read."""
    items = read_items(connection, contract, feeds["items"], progress)
    judged = bool(items.facts.accepted)
    events, looks = read_events(
        connection, contract, feeds["events"], progress, now=now, judged=judged
    )
    read = {"items": items, "events": events}
    for name in tables_of(contract)[2:]:
        read[name] = read_optional(connection, contract, name, feeds[name], progress)
    drafts = [made for name, each in read.items() if name not in failed for made in each.drafts]
    users_known = judged and events.complete and "events" not in failed
    return _Read(tuple(each.facts for each in read.values()), drafts, looks, users_known)


def _judged(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    read: _Read,
    statistics: Statistics,
    clocks: tuple[int, int | None],
) -> list[Draft]:
    """Findings on the events that were read; `clocks` are this computer's and the server's."""
    looks, events = read.looks, next(each for each in read.tables if each.name == "events")
    findings = [
        *event_checks.behaviour_findings(looks.words.counts, contract),
        *id_checks.id_findings(connection),
        *event_checks.user_findings(connection, statistics),
        *event_checks.price_findings(connection, contract, [feed.name for feed in events.feeds]),
    ]
    if not contract.events.timed:
        return findings
    now, server_time = clocks
    findings += time_checks.zone_findings(looks.zones, contract)
    findings += time_checks.clock_findings(connection, now=now, server_time=server_time)
    findings += time_checks.clock_shape(connection, contract.platform.time_zone)
    findings += time_checks.day_findings(statistics.by_day)
    findings += event_checks.bots(connection, contract, statistics.users)
    cut = leakage.cut_of(connection, contract)
    if cut is not None:
        findings += leakage.leak_findings(connection, looks.leaks, cut)
        findings += leakage.label_findings(connection, looks.labels, cut)
    return findings


def _seconds(moment: datetime) -> int:
    """Unix seconds of a time with a zone."""
    return int(moment.timestamp())


def _next_steps(verdict: Verdict, statistics: Statistics) -> tuple[str, ...]:
    if verdict == "refused":
        return ("Correct what the errors name, then check again.",)
    return (
        "Take the data into the store: isthmus client ingest",
        f"See what privacy costs: isthmus client privacy plan --users {statistics.users}",
    )
