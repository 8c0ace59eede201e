"""The contract's optional tables: each one sealed file, replaced when one of its feeds changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.rows import COLUMNS, OPTIONAL_RULES, OptionalJudge
from isthmus_client.store.intake import Taken, Task, started
from isthmus_client.store.people import PSEUDONYMS, People
from isthmus_client.store.segments import Segments

USERS: Final = ("user_id", "other_id")
"""Columns that hold persons' ids, and then their pseudonyms."""

_TIME: Final = "timestamp"


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
        StoreError: a file is damaged or cannot be written.
    """
    files: dict[str, str] = {}
    found: list[Taken] = []
    for table in OPTIONAL_RULES:
        if getattr(task.contract, table) is None:
            continue
        feeds = started(task, table)
        before = {r.name for r in task.manifest.feeds if r.table == table}
        same = all(one.known for one in feeds) and before == {one.feed.name for one in feeds}
        if same and table in task.manifest.tables:
            files[table] = task.manifest.tables[table]
        else:
            files[table] = _taken(task, people, segments, feeds)
        found += feeds
    return TablesTaken(files, found)


def schema(table: str) -> pa.Schema:
    """Of a stored optional table: pseudonyms, Unix seconds, and text."""
    kinds = {**dict.fromkeys(USERS, PSEUDONYMS), _TIME: pa.int64()}
    return pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS[table].all])


def _taken(task: Task, people: People, segments: Segments, feeds: Sequence[Taken]) -> str:
    """The file of a table that is read anew: the one before where it holds the very same rows."""
    table = feeds[0].table
    parts = [_rows(task, people, one) for one in feeds]
    rows, stored = pa.concat_tables(parts), task.manifest.tables.get(table)
    same = stored is not None and segments.read_table(stored).equals(rows)
    for one, part in zip(feeds, parts, strict=True):
        if same:
            one.already = part.num_rows
        elif task.record(table, one.feed.name):
            one.updated = part.num_rows
        else:
            one.added = part.num_rows
    return stored if same and stored else segments.write_table(table, rows)


def _rows(task: Task, people: People, one: Taken) -> pa.Table:
    """A feed's accepted rows; what was stored of it is replaced."""
    one.known = False
    judge = OptionalJudge(task.connection, task.contract, one.table, one.feed.columns)
    parts = []
    for judged in one.judged(judge.columns, judge.judge):
        good = pc.is_null(judged["reason"])
        one.quarantine.add_judged(judged.filter(pc.invert(good)))
        parts.append(_remembered(people, one, judged.filter(good)))
    return pa.concat_tables([schema(one.table).empty_table(), *parts])


def _remembered(people: People, one: Taken, rows: pa.Table) -> pa.Table:
    """The rows with persons as pseudonyms; those of persons who asked to be forgotten stay out."""
    for name in USERS:
        if name in rows.column_names:
            named = people.named(rows[name].combine_chunks())
            rows = rows.set_column(rows.schema.get_field_index(name), name, named)
            gone = people.gone(named)
            one.quarantine.add(rows["line"].filter(gone).to_numpy(), "forgotten", name)
            rows = rows.filter(pc.invert(gone))
    return rows.select(schema(one.table).names)
