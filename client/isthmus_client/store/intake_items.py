"""The items feeds into the items of the next generation."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.rows import ItemJudge
from isthmus_client.store.intake import Taken, Task, refuse_bad, started
from isthmus_client.store.items import change


@dataclass(frozen=True)
class ItemsTaken:
    """The items after the feeds.

    Attributes:
        items: by number.
        feeds: each with its counts.
    """

    items: pa.Table
    feeds: list[Taken]

    @property
    def changed(self) -> bool:
        """Whether the items are other ones than before."""
        return any(feed.added or feed.updated for feed in self.feeds)


def take_items(task: Task, stored: pa.Table) -> ItemsTaken:
    """Read the items feeds that are new or changed.

    Raises:
        FeedRefusedError: too many rows of a feed are bad.
    """
    feeds = started(task, "items")
    with task.progress.track("items", len(feeds)) as advance:
        for one in feeds:
            if not one.known:
                stored = _taken(task, one, stored)
            advance(1)
    refuse_bad(task, feeds)
    return ItemsTaken(stored, feeds)


def _taken(task: Task, one: Taken, stored: pa.Table) -> pa.Table:
    judge = ItemJudge(task.connection, task.contract, one.feed.columns)
    parts = []
    for judged in one.judged(judge.columns, judge.judge):
        good = pc.is_null(judged["reason"])
        one.quarantine.add_judged(judged.filter(pc.invert(good)))
        parts.append(judged.filter(good))
    if not parts:
        return stored
    found = change(stored, _each_once(pa.concat_tables(parts), one))
    one.added, one.updated, one.already = found.added, found.updated, found.already
    return found.items


def _each_once(items: pa.Table, one: Taken) -> pa.Table:
    """The first row of each item; later ones are duplicates."""
    first = items.group_by("item_id").aggregate([("line", "min")])["line_min"]
    single = pc.is_in(items["line"], value_set=first.combine_chunks())
    repeated = items.filter(pc.invert(single))
    one.quarantine.add(repeated["line"].to_numpy(), "duplicate_item", "item_id")
    return items.filter(single)
