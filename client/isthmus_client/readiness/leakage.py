"""Labels and columns that know the future.

Two things are tested, and no more. Of the labels that the contract names: whether they became
known after the validation cut though their event lies before it, and whether they were known before
their event. Of every other column of the events: whether it is constant for each user and equals
the number, or the time of the last, of all that user's events, those after the cut included.
"""

from __future__ import annotations

from typing import Final

import duckdb

from isthmus_client.contract.model import Contract
from isthmus_client.readiness.database import row, rows
from isthmus_client.readiness.examples import event_seen
from isthmus_client.readiness.findings import Draft, draft
from isthmus_client.readiness.looks import Labels, Leaks

_FEWEST_USERS: Final = 10  # with events on both sides of the cut
_SHARE: Final = 0.95  # of them for whom the column equals the count or time
_WHOLE_DAY: Final = 86_400  # seconds

_EQUAL: Final = """
    SELECT v."column", count(*) AS users, count(DISTINCT v.low) AS distinct_values,
        count(*) FILTER (v.low = a.events) AS counts,
        count(*) FILTER (v.low = a.last OR v.low = a.last - a.last % 86400) AS times
    FROM (SELECT "column", user_id, min(low) AS low, max(high) AS high FROM leak_values
          GROUP BY ALL HAVING min(low) = max(high)) v
    JOIN (SELECT user_id, count(*) AS events, max(time) AS last FROM accepted_events
          GROUP BY user_id HAVING min(time) < ? AND max(time) >= ?) a USING (user_id)
    GROUP BY ALL ORDER BY ALL
"""


def cut_of(connection: duckdb.DuckDBPyConnection, contract: Contract) -> int | None:
    """Unix seconds at which validation starts; None without events."""
    (cut,) = row(
        connection,
        f"SELECT quantile_disc(time, {contract.history.validation!r}) FROM accepted_events",
    )
    return None if cut is None else int(cut)


def leak_findings(connection: duckdb.DuckDBPyConnection, leaks: Leaks, cut: int) -> list[Draft]:
    """Columns that hold a count or last time over all of a user's events."""
    findings = []
    for number, users, values, counts, times in rows(connection, _EQUAL, cut, cut):
        if users < _FEWEST_USERS or values < 2:  # noqa: PLR2004 - a constant tells nothing
            continue
        name = leaks.columns[number]
        for equal, words in ((counts, "number of all events"), (times, "time of the last event")):
            if equal >= _SHARE * users:
                what = f"{name} is the {words} of {equal:,} of {users:,} users, later ones included"
                findings.append(
                    draft("label_leakage", "events", what, column=name, count=equal, of=users)
                )
    return findings


def label_findings(connection: duckdb.DuckDBPyConnection, labels: Labels, cut: int) -> list[Draft]:
    """Labels that became known after the cut, or before their event."""
    findings = []
    for number, label in enumerate(labels.labels):
        total, late, early = row(
            connection,
            "SELECT count(*), count(*) FILTER (time < ? AND known >= ?), "
            "count(*) FILTER (known < time) FROM label_rows l JOIN accepted_events e "
            "USING (feed, line, time) WHERE l.label = ?",
            cut,
            cut,
            number,
        )
        for code, count, condition, words in (
            ("label_after_cut", late, f"l.time < {cut} AND l.known >= {cut}", "only after the cut"),
            ("label_before_event", early, "l.known < l.time", "before their event"),
        ):
            if count:
                what = f"{count:,} of {total:,} labels in {label} became known {words}"
                where = (
                    "(feed, line) IN (SELECT (l.feed, l.line) FROM label_rows l "
                    f"WHERE l.label = {number} AND {condition})"
                )
                seen = event_seen(connection, where)
                findings.append(
                    draft(code, "events", what, column=label, count=count, of=total, seen=seen)
                )
    return findings
