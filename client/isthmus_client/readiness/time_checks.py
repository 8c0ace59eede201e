"""Findings on times: units, zones, clocks, and days that are missing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import duckdb
import numpy as np

from isthmus_client.contract.model import Contract
from isthmus_client.readiness.database import row
from isthmus_client.readiness.days import drops, gaps
from isthmus_client.readiness.examples import event_seen
from isthmus_client.readiness.findings import Draft, draft
from isthmus_client.readiness.looks import DATES, Units, Zones
from isthmus_client.readiness.results import Day
from isthmus_client.readiness.statistics import local
from isthmus_client.rows.moments import UNITS

SKEW: Final = 300  # seconds by which clocks may differ
_HOUR: Final = 3600  # seconds
_OFFSET: Final = re.compile(r"([+-])(\d{2}):?(\d{2})?$")


def unit_confusion(units: Units, contract: Contract) -> list[Draft]:
    """Whether times would be plausible in another unit than the contract's.

    Told where under half of the numbers fit the contract's unit and nine in ten fit another.
    """
    told = contract.events.time_format
    if not units.numbers or told not in UNITS:
        return []
    own = "s" if told == "auto" else told
    best, fits = max(units.fits.items(), key=lambda pair: pair[1])
    if best == own or units.fits[own] > units.numbers / 2 or fits < 0.9 * units.numbers:
        return []
    words = "dates such as 20240331" if best == DATES else f"Unix time in {best}"
    return [
        draft(
            "time_unit",
            "events",
            f"{fits:,} of {units.numbers:,} times that are numbers look like {words}, "
            f"not like Unix time in {own}",
            column="timestamp",
            count=fits,
            of=units.numbers,
            advice=f'Write time_format = "{best}" under [events].',
        )
    ]


def zone_findings(zones: Zones, contract: Contract) -> list[Draft]:
    """Times with and without zones side by side; zones far apart."""
    naive, named = zones.named.get("", 0), zones.named.total() - zones.named.get("", 0)
    findings = []
    if naive and named:
        fewer = [zone for zone in zones.first if bool(zone) == (named <= naive)]
        findings.append(
            draft(
                "mixed_zones",
                "events",
                f"{named:,} times name a zone, {naive:,} do not and are read in "
                f"{contract.platform.time_zone}",
                column="timestamp",
                count=min(naive, named),
                of=naive + named,
                seen=zones.first[fewer[0]],
            )
        )
    offsets = sorted({offset for zone in zones.named if (offset := _offset(zone)) is not None})
    if len(offsets) > 1 and offsets[-1] - offsets[0] > _HOUR:
        findings.append(
            draft(
                "zone_offsets",
                "events",
                f"times name {len(offsets):,} different offsets from UTC, "
                f"{(offsets[-1] - offsets[0]) / _HOUR:g} hours apart",
                column="timestamp",
                count=len(offsets),
            )
        )
    return findings


def _offset(zone: str) -> int | None:
    """Seconds; None where none is named by a number."""
    if zone in {"Z", "UTC", "GMT"}:
        return 0
    found = _OFFSET.fullmatch(zone)
    if not found:
        return None
    seconds = int(found[2]) * _HOUR + int(found[3] or 0) * 60
    return -seconds if found[1] == "-" else seconds


def clock_findings(
    connection: duckdb.DuckDBPyConnection, *, now: int, server_time: int | None
) -> list[Draft]:
    """Whether this computer or the newest events run ahead of the server's time."""
    reference = now if server_time is None else server_time
    findings = []
    if server_time is not None and abs(now - server_time) > SKEW:
        ahead = "ahead of" if now > server_time else "behind"
        findings.append(
            draft(
                "clock_skew",
                "contract",
                f"this computer's clock is {_span(abs(now - server_time))} {ahead} the server's",
                count=abs(now - server_time),
            )
        )
    late, total, newest = row(
        connection,
        "SELECT count(*) FILTER (time > ?), count(*), max(time) FROM accepted_events",
        reference + SKEW,
    )
    if late:
        whose = "this computer's time" if server_time is None else "the server's time"
        findings.append(
            draft(
                "clock_skew",
                "events",
                f"{late:,} events are later than {whose}, the newest by "
                f"{_span(newest - reference)}",
                column="timestamp",
                count=late,
                of=total,
                seen=event_seen(connection, f"time = {newest}"),
            )
        )
    return findings


def _span(seconds: int) -> str:
    if seconds < 2 * _HOUR:
        return f"{round(seconds / 60):,} minutes"
    if seconds < 48 * _HOUR:
        return f"{seconds / _HOUR:.1f} hours"
    return f"{round(seconds / 24 / _HOUR):,} days"


def clock_shape(connection: duckdb.DuckDBPyConnection, zone: str) -> list[Draft]:
    """One time for all events; dates without a time of day."""
    events, times, clocked = row(
        connection,
        "SELECT count(*), count(DISTINCT time), "
        f"count(*) FILTER ({local(zone)}::TIME <> '00:00:00') FROM accepted_events",
    )
    if events > 1 and times == 1:
        what = f"all {events:,} events have the same time"
        return [draft("one_time", "events", what, column="timestamp", count=events, of=events)]
    if events > 1 and not clocked:
        what = f"all {events:,} times are at midnight in {zone}"
        return [draft("dates_only", "events", what, column="timestamp", count=events, of=events)]
    return []


def day_findings(by_day: Sequence[Day]) -> list[Draft]:
    """Gaps and drops of the daily counts."""
    if not by_day:
        return []
    first = date.fromisoformat(by_day[0].day)
    places = [(date.fromisoformat(day.day) - first).days for day in by_day]
    counts = np.zeros(places[-1] + 1, np.int64)
    counts[places] = [day.total for day in by_day]
    missing = gaps(counts)
    findings = []
    if missing:
        days = [(first + timedelta(days=place)).isoformat() for place in missing]
        more = f" and {len(days) - 10:,} more" if len(days) > 10 else ""  # noqa: PLR2004
        what = f"no events on {', '.join(days[:10])}{more}, in a time that has many"
        findings.append(draft("day_gap", "events", what, count=len(days), of=counts.size))
    for place in drops(counts):
        before, after = counts[place - 7 : place].mean(), counts[place : place + 7].mean()
        what = (
            f"from {(first + timedelta(days=place)).isoformat()} on there are {after:,.0f} events "
            f"a day, in the week before {before:,.0f}"
        )
        findings.append(draft("sudden_drop", "events", what, count=1))
    return findings
