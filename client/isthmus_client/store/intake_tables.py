"""The contract's optional tables: each one sealed file, replaced when one of its feeds changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.rows import COLUMNS, Rule
from isthmus_client.rows.columns import available
from isthmus_client.rows.judging import parse
from isthmus_client.rows.moments import Moments
from isthmus_client.rows.texts import as_text
from isthmus_client.store.intake import Taken, Task, started
from isthmus_client.store.people import PSEUDONYMS, People
from isthmus_client.store.reading import OPTIONAL_TABLES
from isthmus_client.store.segments import Segments

USERS: Final = ("user_id", "other_id")
"""Columns that hold persons' ids, and then their pseudonyms."""

_MOMENT: Final = "timestamp"
_NO_RULES: Final = (Rule("none", "", "", "", "FALSE"),)  # reasons are given here, not in SQL


@dataclass(frozen=True)
class TablesTaken:
    """The optional tables of the next generation.

    Attributes:
        files: {table: file}.
        feeds: each with its counts.
    """

    files: dict[str, str]
    feeds: list[Taken]


def take_tables(task: Task, people: People, segments: Segments) -> TablesTaken:
    """Read those tables that the contract has and of which a feed is new, changed or gone.

    Raises:
        StoreError: a file cannot be written.
    """
    files: dict[str, str] = {}
    found: list[Taken] = []
    for table in OPTIONAL_TABLES:
        if getattr(task.contract, table) is None:
            continue
        feeds = started(task, table)
        before = {r.name for r in task.manifest.feeds if r.table == table}
        same = all(one.known for one in feeds) and before == {one.feed.name for one in feeds}
        if same and table in task.manifest.tables:
            files[table] = task.manifest.tables[table]
        else:
            rows = [_rows(task, people, one) for one in feeds]
            files[table] = segments.write_table(table, pa.concat_tables(rows))
        found += feeds
    return TablesTaken(files, found)


def schema(table: str) -> pa.Schema:
    """Of a stored optional table: pseudonyms, Unix seconds, and text."""
    kinds = {**dict.fromkeys(USERS, PSEUDONYMS), _MOMENT: pa.int64()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS[table].all])


def _rows(task: Task, people: People, one: Taken) -> pa.Table:
    """A feed's accepted rows; what was stored of it is replaced."""
    one.known = False
    judge = _Judge(task, people, one)
    parts = []
    for judged in one.judged(judge.columns, judge.judge):
        good = pc.is_null(judged["reason"])
        one.quarantine.add_judged(judged.filter(pc.invert(good)))
        parts.append(judged.filter(good).select(schema(one.table).names))
    rows = pa.concat_tables([schema(one.table).empty_table(), *parts])
    if task.record(one.table, one.feed.name):
        one.updated = rows.num_rows
    else:
        one.added = rows.num_rows
    return rows


class _Judge:
    """Needed columns must be there, times must be times, and forgotten persons stay away."""

    def __init__(self, task: Task, people: People, one: Taken) -> None:
        self._task, self._people, self._table = task, people, one.table
        names = COLUMNS[one.table].all
        contract_table = getattr(task.contract, one.table)
        self._theirs = available(contract_table, names, one.feed.columns)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._theirs.values()))

    def judge(self, batch: pa.RecordBatch) -> pa.Table:
        """Our columns, and `line`, `reason` and `column`."""
        columns, faults = {}, []
        for name in COLUMNS[self._table].all:
            their = self._theirs.get(name)
            raw = pa.nulls(batch.num_rows) if their is None else batch.column(their)
            columns[name] = self._column(name, raw)
            if name in COLUMNS[self._table].needed:
                faults.append((columns[name].is_null(), f"no_{name}", name))
            elif name == _MOMENT:
                faults.append((pc.and_(raw.is_valid(), columns[name].is_null()), "bad_time", name))
        faults += [
            (self._people.gone(columns[name]), "forgotten", name)
            for name in USERS
            if name in columns
        ]
        return pa.table({"line": batch.column("_line"), **columns, **_reasons(batch, faults)})

    def _column(self, name: str, raw: pa.Array) -> pa.Array:
        if name in USERS:
            return self._people.named(as_text(raw))
        return self._moments(raw) if name == _MOMENT else as_text(raw)

    def _moments(self, raw: pa.Array) -> pa.Array:
        zone = self._task.contract.platform.time_zone
        moments = Moments(raw, time_format="auto", zone=zone)
        sql = {"time": moments.sql("stamp")}
        parsed = parse(self._task.connection, {"stamp": moments.values}, sql, _NO_RULES, {})
        return parsed["time"].combine_chunks()


def _reasons(batch: pa.RecordBatch, faults: list[tuple[pa.Array, str, str]]) -> dict[str, pa.Array]:
    """The first fault of each row, null where there is none."""
    reason = column = pa.nulls(batch.num_rows, pa.string())
    for wrong, code, name in reversed(faults):
        reason = pc.if_else(wrong, code, reason)
        column = pc.if_else(wrong, name, column)
    return {"reason": reason, "column": column}
