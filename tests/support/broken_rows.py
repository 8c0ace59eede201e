"""Faults of single rows, each of which is rejected."""

from __future__ import annotations

from healthy_shop import A_DAY, NOW, READY, REFUSED, START, fault, moment_of, stamp


@fault({("no_user_id", "events"): (2, 7)})
def events_of_nobody(shop):
    shop.set_events("user_id", "", 5, 60)


@fault({("no_item_id", "events"): (1, 7)})
def an_event_on_nothing(shop):
    shop.set_events("item_id", "", 5)


@fault({("unknown_item", "events"): (3, 12)})
def events_on_unknown_items(shop):
    shop.set_events("item_id", "sku-gone", 10, 20, 30)


@fault({("unknown_behaviour", "events"): (1, 102)})
def a_behaviour_that_nobody_mapped(shop):
    shop.set_events("behaviour", "teleport", 100)


@fault({("no_time", "events"): (1, 4)})
def an_event_without_a_time(shop):
    shop.set_events("timestamp", "", 2)


@fault({("bad_time", "events"): (2, 4)})
def times_that_nobody_can_read(shop):
    shop.set_events("timestamp", "last Tuesday", 2, 3)


@fault({("time_before_1990", "events"): (1, 9)})
def an_event_of_1970(shop):
    shop.set_events("timestamp", "1970-01-01T00:00:00Z", 7)


@fault({("time_in_future", "events"): (2, 9)})
def events_of_the_future(shop):
    shop.set_events("timestamp", "2034-01-01T00:00:00Z", 7, 8)


@fault({("out_of_retention", "events"): (10 * A_DAY, 2)}, READY)
def events_beyond_retention(shop):
    shop.say("history", retention_days=(NOW - START).days - 10)
    for row in shop.events[10 * A_DAY : 11 * A_DAY]:  # of the day that retention cuts at noon
        row["timestamp"] = stamp(moment_of(row).replace(hour=15))


@fault({("negative_price", "events"): (1, 42)})
def a_negative_price(shop):
    shop.set_events("price", "-3.50", 40)


@fault({("bad_price", "events"): (1, 42)})
def a_price_with_its_currency(shop):
    shop.set_events("price", "EUR 3.50", 40)


@fault({("bad_quantity", "events"): (1, 42)})
def a_quantity_of_zero(shop):
    shop.set_events("quantity", "0", 40)


@fault({("bad_quantity", "events"): (2, 42)})
def negative_quantities(shop):
    shop.set_events("quantity", "-2", 40, 41)


@fault({("bad_rating", "events"): (1, 3)})
def a_rating_in_stars(shop):
    for row in shop.events:
        row["rating"] = "4"
    shop.set_events("rating", "****", 1)


@fault({("duplicate_event", "events"): (2, 102)})
def events_that_come_twice(shop):
    shop.events[100:100] = [dict(shop.events[99]), dict(shop.events[99])]


@fault({("duplicate_item", "items"): (1, 12)})
def an_item_that_comes_twice(shop):
    shop.items.insert(10, dict(shop.items[3]))


@fault({("no_text", "items"): (1, 6)})
def an_item_without_text(shop):
    extra = {"item_id": "sku-mute", "title": "", "category": "", "price": "3"}
    shop.items.insert(4, extra)


@fault({("no_item_id", "items"): (1, 6)})
def an_item_without_an_id(shop):
    shop.items.insert(4, {"item_id": "", "title": "Nameless", "price": "3"})


@fault({("negative_price", "items"): (1, 6)})
def an_item_with_a_negative_price(shop):
    shop.items.insert(4, {"item_id": "sku-x", "title": "Cheap", "price": "-3"})


@fault({("bad_price", "items"): (1, 6)})
def an_item_with_a_price_in_words(shop):
    shop.items.insert(4, {"item_id": "sku-x", "title": "Cheap", "price": "free"})


@fault({("no_user_id", "events"): (100, 2), ("too_many_rejected", "events"): (100, None)}, REFUSED)
def too_many_bad_rows(shop):
    shop.set_events("user_id", "", *range(100))
