"""The events feeds into staged events."""

from __future__ import annotations

import pyarrow as pa

from isthmus_client.rows import EventJudge
from isthmus_client.store.accepting import Intake
from isthmus_client.store.intake import Taken, Task, started
from isthmus_client.store.orders import Orders
from isthmus_client.store.people import People
from isthmus_client.store.staging import Staging


def stage_events(
    task: Task, items: pa.Table, people: People, staging: Staging, key: bytes
) -> list[Taken]:
    """Read the events feeds that are new or changed; accepted events are staged.

    Args:
        task: the ingest.
        items: by number.
        people: gives users their numbers.
        staging: takes the events.
        key: of the keyring's role `pseudonym`.

    Raises:
        StoreError: staging cannot be written.
    """
    numbers = {r.name: r.number for r in task.manifest.feeds if r.table == "events"}
    feeds = started(task, "events", items=items.num_rows, numbers=numbers)
    item = pa.array(range(items.num_rows), pa.int32())
    known = pa.table({"item_id": items["item_id"], "item": item})
    task.connection.register("known_items", known)
    orders = Orders(task.connection, key)
    with task.progress.track("events", len(feeds)) as advance:
        for one in feeds:
            if not one.known:
                _staged(task, one, Intake(one.number, people, orders, staging, one.quarantine))
            advance(1)
    return feeds


def _staged(task: Task, one: Taken, intake: Intake) -> None:
    judge = EventJudge(task.connection, task.contract, one.feed.columns, now=task.now)
    for judged in one.judged(judge.columns, judge.judge):
        intake.add(judged)
    intake.flush()
