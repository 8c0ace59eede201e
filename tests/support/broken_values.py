"""Faults that only many rows show: ids, behaviours, amounts, users."""

from __future__ import annotations

from datetime import timedelta

from healthy_shop import EVENTS, ITEMS, READY, REFUSED, START, as_csv, fault, moment_of, stamp


@fault({("leading_zeros", "events"): (40, None), ("unknown_item", "events"): None})
def zeros_of_item_ids_are_lost(shop):
    for row in shop.items:
        row["item_id"] = "00" + row["item_id"].removeprefix("sku-") + "7"
    for row in shop.events:
        row["item_id"] = "00" + row["item_id"].removeprefix("sku-") + "7"
    for row in shop.events[:40]:
        row["item_id"] = row["item_id"].lstrip("0")


@fault({("leading_zeros", "events"): (1, 52)})
def one_user_with_and_without_zeros(shop):
    for row in shop.events:
        row["user_id"] = row["user_id"].removeprefix("person-").replace("x", "9")
    shop.set_events("user_id", "00079", 50)
    shop.set_events("user_id", "79", 51, 52)


@fault({("leading_zeros", "events"): (None, None)})
def one_file_of_two_lost_its_zeros(shop):
    shop.say("events", source="events-*.csv")
    for row in shop.events:
        row["user_id"] = "0" + row["user_id"].removeprefix("person-").replace("x", "1")
    early = [row for row in shop.events if int(row["user_id"]) % 20 == 1]
    late = [
        {**row, "user_id": row["user_id"].lstrip("0")}
        for row in shop.events
        if int(row["user_id"]) % 20 != 1
    ]
    shop.files["events-1.csv"], shop.files["events-2.csv"] = as_csv(early), as_csv(late)


@fault({("float_ids", "events"): (1, None)})
def an_id_became_a_float(shop):
    for row in shop.events:
        row["user_id"] = "1" + row["user_id"].removeprefix("person-").replace("x", "1")
    shop.set_events("user_id", "123456.0", 5, 6)


@fault({("id_spaces", "events"): (1, None)})
def an_id_with_a_space(shop):
    shop.set_events("user_id", " person-1234x", 5, 6)


@fault({("test_account", "events"): (2, 7)})
def test_accounts(shop):
    shop.set_events("user_id", "qa-7", 5, 6)
    shop.set_events("user_id", "Demo_user", 8, 9)


@fault({("behaviour_absent", "events"): (1, None)})
def a_mapped_word_never_occurs(shop):
    shop.say("events", behaviours={"basket": "cart"})


@fault({("behaviour_mapped_twice", "events"): (2, None)}, READY)
def two_words_mean_the_same(shop):
    shop.say("events", behaviours={"basket": "cart"})
    shop.set_events("behaviour", "basket", *range(0, 90, 9))


@fault({("zero_price", "events"): (1, 42)})
def a_price_of_zero(shop):
    shop.set_events("price", "0.00", 40)


@fault({("zero_price", "items"): (1, 6)})
def an_item_that_is_free(shop):
    shop.items.insert(4, {"item_id": "sku-x", "title": "Free sample", "price": "0"})


@fault({("price_above_limit", "events"): (1, 42)})
def a_price_above_the_limit(shop):
    shop.say("limits", max_price=1000.0)
    shop.set_events("price", "1999.99", 40)


@fault({("price_jump", "events"): (1, None)})
def prices_of_one_day_are_in_another_currency(shop):
    day = (START + timedelta(days=20)).date()
    for row in shop.events:
        if moment_of(row).date() == day:
            row["price"] = f"{float(row['price']) * 7.2:.2f}"


@fault({("price_jump", "events"): (1, None)})
def prices_of_one_file_are_in_cents(shop):
    shop.say("events", source="events-*.csv")
    for row in shop.events[1200:]:
        row["price"] = f"{float(row['price']) * 100:.0f}"
    shop.files["events-1.csv"] = as_csv(shop.events[:1200])
    shop.files["events-2.csv"] = as_csv(shop.events[1200:])


@fault({("price_scale", "events"): (ITEMS, None)})
def prices_of_events_are_in_cents(shop):
    for row in shop.events:
        row["price"] = f"{float(row['price']) * 100:.0f}"


@fault({("bot", "events"): (1, None)})
def a_bot(shop):
    shop.say("limits", events_a_day=50)
    day = START + timedelta(days=30)
    more = [
        {
            **shop.events[0],
            "user_id": "person-9999x",
            "timestamp": stamp(day + timedelta(seconds=n)),
        }
        for n in range(60)
    ]
    shop.events += more


@fault({("single_events", "events"): (EVENTS, None)}, REFUSED)
def every_user_has_one_event(shop):
    for place, row in enumerate(shop.events):
        row["user_id"] = f"order-{place:05d}"


@fault({("single_event_users", "events"): (1, None)}, READY)
def one_user_has_one_event(shop):
    shop.set_events("user_id", "person-8888x", 5)
