"""Faults of the optional tables."""

from __future__ import annotations

from itertools import pairwise

from healthy_shop import REFUSED, fault


def texts(count=20):
    """Service texts with two labels."""
    return [
        {"text": f"Where is parcel {n}?", "label": ["delivery", "refund"][n % 2]}
        for n in range(count)
    ]


@fault({("no_label", "service_texts"): (1, 4)})
def a_text_without_a_label(shop):
    shop.more["service_texts"] = texts()
    shop.more["service_texts"][2]["label"] = ""


@fault({("one_label", "service_texts"): (20, None)})
def texts_with_one_label(shop):
    shop.more["service_texts"] = [{**row, "label": "delivery"} for row in texts()]


@fault({("no_text", "service_texts"): (1, 7)})
def an_empty_text(shop):
    shop.more["service_texts"] = texts(40)
    shop.more["service_texts"][5]["text"] = " "


@fault({("empty_feed", "service_texts"): (1, None)})
def no_texts(shop):
    shop.say("service_texts", source="service_texts.csv")
    shop.files["service_texts.csv"] = b"text,label\n"


def impressions(shop, count=40):
    """Campaign impressions of users that have events."""
    return [
        {"user_id": row["user_id"], "campaign": "spring", "timestamp": row["timestamp"]}
        for row in shop.events[:count]
    ]


@fault({("unknown_user", "impressions"): (2, 3)})
def impressions_on_unknown_users(shop):
    shop.more["impressions"] = impressions(shop)
    for place in (1, 2):
        shop.more["impressions"][place]["user_id"] = f"person-777{place}x"


@fault({("bad_time", "redemptions"): (1, 5)})
def a_redemption_at_no_time(shop):
    shop.more["redemptions"] = impressions(shop)
    shop.more["redemptions"][3]["timestamp"] = "soon"


@fault({("missing_column", "impressions"): (1, None)}, REFUSED)
def impressions_without_a_campaign(shop):
    shop.more["impressions"] = impressions(shop)
    for row in shop.more["impressions"]:
        del row["campaign"]


@fault({("no_campaign", "redemptions"): (1, 2)})
def a_redemption_of_no_campaign(shop):
    shop.more["redemptions"] = impressions(shop)
    shop.more["redemptions"][0]["campaign"] = " "


@fault({("no_time", "impressions"): (2, 6)})
def impressions_without_a_time(shop):
    shop.more["impressions"] = impressions(shop)
    for place in (4, 5):
        shop.more["impressions"][place]["timestamp"] = ""


def edges(shop):
    """Each user joined to the next."""
    users = sorted({row["user_id"] for row in shop.events})
    return [{"user_id": a, "other_id": b, "timestamp": ""} for a, b in pairwise(users)]


@fault({("self_edge", "social_edges"): (1, 3)})
def an_edge_to_oneself(shop):
    shop.more["social_edges"] = edges(shop)
    shop.more["social_edges"][1]["other_id"] = shop.more["social_edges"][1]["user_id"]


@fault({("no_other_id", "social_edges"): (1, 4)})
def an_edge_with_one_end(shop):
    shop.more["social_edges"] = edges(shop)
    shop.more["social_edges"][2]["other_id"] = ""


@fault({("bad_time", "social_edges"): (1, 2)})
def an_edge_since_some_day(shop):
    shop.more["social_edges"] = edges(shop)
    shop.more["social_edges"][0]["timestamp"] = "some day"


@fault({("missing_image", "images"): (1, 3)})
def an_image_that_is_not_there(shop):
    shop.more["images"] = [{"item_id": f"sku-{n:03d}", "path": f"{n}.png"} for n in range(30)]
    shop.files |= {f"{n}.png": b"png" for n in range(30) if n != 1}


@fault({("unknown_item", "images"): (1, 2)})
def an_image_of_an_unknown_item(shop):
    shop.more["images"] = [{"item_id": "sku-gone", "path": "1.png"}]
    shop.files["1.png"] = b"png"


@fault({("no_path", "images"): (1, 2)})
def an_image_without_a_path(shop):
    shop.more["images"] = [{"item_id": f"sku-{n:03d}", "path": "cdn://all.png"} for n in range(30)]
    shop.more["images"][0]["path"] = ""
