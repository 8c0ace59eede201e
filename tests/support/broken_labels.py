"""Labels and columns that know the future."""

from __future__ import annotations

from datetime import timedelta

from healthy_shop import fault, moment_of, stamp


def with_labels(shop, later: timedelta):
    """A label on every tenth event that became known some time after it."""
    shop.say("events", labels={"returned": "returned_at"})
    for row in shop.events:
        row["returned"], row["returned_at"] = "", ""
    for row in shop.events[::10]:
        row["returned"], row["returned_at"] = "yes", stamp(moment_of(row) + later)


@fault({("label_after_cut", "events"): (16, None)})
def labels_known_after_the_cut(shop):
    with_labels(shop, timedelta(days=7))


@fault({("label_before_event", "events"): (152, 2)})
def labels_known_before_their_event(shop):
    with_labels(shop, -timedelta(days=3))


@fault({("label_leakage", "events"): (None, None), ("extra_column", "events"): (1, None)})
def a_column_counts_all_events_of_a_user(shop):
    users = [row["user_id"] for row in shop.events]
    for row in shop.events:
        row["orders"] = str(users.count(row["user_id"]))


@fault({("label_leakage", "events"): (None, None), ("extra_column", "events"): (1, None)})
def a_column_has_the_last_time_of_a_user(shop):
    last = {row["user_id"]: row["timestamp"] for row in shop.events}
    for row in shop.events:
        row["last_seen"] = last[row["user_id"]]
