"""Faults of times: units, zones, clocks, days."""

from __future__ import annotations

import random
from datetime import timedelta

from healthy_shop import A_DAY, DAYS, EVENTS, NOW, READY, REFUSED, START, fault, moment_of, stamp


@fault(
    {
        ("time_unit", "events"): (EVENTS, None),
        ("time_in_future", "events"): (EVENTS, 2),
        ("too_many_rejected", "events"): (EVENTS, None),
    },
    REFUSED,
)
def milliseconds_taken_for_seconds(shop):
    for row in shop.events:
        row["timestamp"] = str(int(moment_of(row).timestamp() * 1000))


@fault(
    {
        ("time_unit", "events"): (EVENTS, None),
        ("time_before_1990", "events"): (EVENTS, 2),
        ("too_many_rejected", "events"): (EVENTS, None),
    },
    REFUSED,
)
def seconds_taken_for_milliseconds(shop):
    shop.say("events", time_format="ms")
    for row in shop.events:
        row["timestamp"] = str(int(moment_of(row).timestamp()))


@fault(
    {
        ("time_unit", "events"): (EVENTS, None),
        ("time_before_1990", "events"): (EVENTS, 2),
        ("too_many_rejected", "events"): (EVENTS, None),
    },
    REFUSED,
)
def dates_taken_for_seconds(shop):
    for row in shop.events:
        row["timestamp"] = moment_of(row).strftime("%Y%m%d")


@fault({("mixed_zones", "events"): (300, 2)})
def some_times_without_a_zone(shop):
    for row in shop.events[:300]:
        row["timestamp"] = row["timestamp"].removesuffix("Z")


@fault({("zone_offsets", "events"): (2, None)}, READY)
def times_of_two_zones(shop):
    for row in shop.events[:300]:
        row["timestamp"] = row["timestamp"].replace("Z", "+08:00")


@fault({("one_time", "events"): (EVENTS, None)})
def all_times_are_that_of_the_export(shop):
    for place, row in enumerate(shop.events):
        row["timestamp"] = stamp(START)
        row["quantity"] = str(place + 1)  # no two rows are the same


@fault({("dates_only", "events"): (EVENTS, None)}, READY)
def times_without_a_time_of_day(shop):
    for place, row in enumerate(shop.events):
        row["timestamp"] = row["timestamp"][:10]
        row["quantity"] = str(place + 1)


@fault({("clock_skew", "events"): (1, EVENTS + 1)})
def an_event_of_tonight(shop):
    shop.set_events("timestamp", stamp(NOW + timedelta(hours=8)), EVENTS - 1)
    bridge(shop)


@fault({("clock_skew", "contract"): (7200, None)})
def this_clock_runs_ahead(shop):
    shop.server_time = NOW - timedelta(hours=2)


@fault(
    {
        ("clock_skew", "events"): (A_DAY, EVENTS + 1),
        ("clock_skew", "contract"): (6 * 86400 + 43200, None),
    }
)
def events_later_than_the_server(shop):
    shop.server_time = START + timedelta(days=DAYS - 1)


def bridge(shop):
    """Events on the days between the last ones and now, so that there is no gap."""
    chance = random.Random(1)  # noqa: S311 - made-up data
    first = START + timedelta(days=DAYS)
    more = []
    for place in range(A_DAY * ((NOW - first).days + 1)):
        moment = first + timedelta(days=place // A_DAY, seconds=chance.randrange(0, 11 * 3600))
        more.append({**shop.events[place], "timestamp": stamp(moment)})
    shop.events[EVENTS:] = more


@fault({("day_gap", "events"): (1, None)})
def a_day_without_events(shop):
    gone = (START + timedelta(days=30)).date()
    shop.events = [row for row in shop.events if moment_of(row).date() != gone]


@fault({("sudden_drop", "events"): (1, None)})
def a_sudden_drop(shop):
    start = START + timedelta(days=40)
    late = [row for row in shop.events if moment_of(row) >= start]
    shop.events = [row for row in shop.events if moment_of(row) < start] + late[::6]
