"""The rules of rows once more, in plain Python, one row at a time: the slow truth."""

import math
import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np

from isthmus.behaviours import BEHAVIOURS

DAY = 86_400
UNITS = {"auto": 1, "s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
SURFACES = ("pc", "mobile", "app", "mini_program", "store")
NUMBER = re.compile(r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]{1,3})?")
ISO = re.compile(
    r"([12][0-9]{3}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?([.][0-9]+)?(Z| UTC|[+-][01][0-9](?::?[0-5][0-9])?)?)?"
)
NUMBERED = {"price", "quantity", "rating"}


def as_id(value):
    """Text or a whole number as text; None where there is no id."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else None
    if isinstance(value, Decimal):
        return str(int(value)) if value == value.to_integral_value() else None
    return str(value) or None if isinstance(value, int | str) else None


def as_number(value):
    """(whether one is given, the number as float32 or None)."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return False, None
    if isinstance(value, str):
        text = value.strip(" \t\r\n")
        if not NUMBER.fullmatch(text):
            return text != "", None
        value = float(text)
    elif isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return True, None
    with np.errstate(over="ignore"):
        number = np.float32(float(value))
    return True, number if np.isfinite(number) else None


def as_seconds(value, time_format, zone):  # noqa: PLR0911 - one for each type
    """(whether a time is given, Unix seconds or None)."""
    if isinstance(value, str):
        text = value.strip()
        return text != "", _text_seconds(text, time_format, zone)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return False, None
    if isinstance(value, datetime):
        return True, _moment(value, zone)
    if isinstance(value, date):
        return True, _moment(datetime(value.year, value.month, value.day), zone)  # noqa: DTZ001 - the local clock
    if isinstance(value, bool):
        return True, None
    if time_format not in UNITS:
        return True, _text_seconds(as_id(value) or "?", time_format, zone)
    return True, _scaled(value, time_format)


def _scaled(value, time_format):
    unit = UNITS.get(time_format, 1)
    if isinstance(value, float):
        seconds = math.floor(value / unit) if math.isfinite(value) else 2**63
    else:
        seconds = int(value) // unit
    return seconds if -(2**63) <= seconds < 2**63 else None


def _text_seconds(text, time_format, zone):
    if time_format not in UNITS:
        try:
            return _moment(datetime.strptime(text, time_format), zone)  # noqa: DTZ007 - the local clock
        except ValueError:
            return None
    if ISO.fullmatch(text):
        return _iso_seconds(*ISO.fullmatch(text).groups(), zone)
    if re.fullmatch(r"[+-]?[0-9]+", text) and -(2**63) <= int(text) < 2**63:
        return _scaled(int(text), time_format)
    return _scaled(float(text), time_format) if NUMBER.fullmatch(text) else None


def _iso_seconds(day, clock, seconds, fraction, offset, zone):
    if fraction and not seconds:
        return None
    named = {"Z": "+00:00", " UTC": "+00:00", None: ""}.get(offset, offset)
    text = f"{day}T{clock or '00:00'}{seconds or ''}{named}"
    try:
        return _moment(datetime.fromisoformat(text), zone)
    except ValueError:
        return None


def _moment(moment, zone):
    """Seconds: a repeated hour is its second pass, a skipped one is read by the old offset."""
    whole = moment.replace(microsecond=0)
    if whole.tzinfo is not None:
        return int((whole - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1))
    first, second = (whole.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    meant = second if first.utcoffset() > second.utcoffset() else first
    naive = (whole - datetime(1970, 1, 1)) // timedelta(seconds=1)  # noqa: DTZ001 - the local clock
    return naive - int(meant.utcoffset().total_seconds())


def judge_event(row, contract, known, now):
    """One event; `row` holds our columns that the feed has. Gives the judged row as a dict."""
    events, at = contract.events, row.get
    user, item = as_id(at("user_id")), as_id(at("item_id"))
    words = {**{word: word for word in BEHAVIOURS}, **events.behaviours}
    word = (as_id(at("behaviour")) or "").strip() if "behaviour" in row else None
    ours = events.default_behaviour if word is None else words.get(word)
    given, time = True, 0
    if events.timed:
        zone = contract.platform.time_zone
        given, time = as_seconds(at("timestamp"), events.time_format, zone)
    numbers = {name: as_number(at(name)) for name in NUMBERED}
    surface = (as_id(at("surface")) or "").strip()
    oldest = now - contract.history.retention_days * DAY
    reason = next(
        code
        for code, broken in [
            ("no_user_id", user is None),
            ("no_item_id", item is None),
            ("unknown_item", item not in known),
            ("unknown_behaviour", ours is None),
            ("no_time", not given),
            ("bad_time", time is None),
            ("time_before_1990", events.timed and (time or 0) < 631_152_000),
            ("time_in_future", (time or 0) > now + DAY),
            (
                "out_of_retention",
                events.timed and contract.history.retention_days and (time or 0) < oldest,
            ),
            ("negative_price", (numbers["price"][1] or 0) < 0),
            ("bad_price", numbers["price"] == (True, None)),
            ("bad_quantity", numbers["quantity"][0] and not (numbers["quantity"][1] or 0) > 0),
            ("bad_rating", numbers["rating"] == (True, None)),
            (None, True),
        ]
        if broken
    )
    return {
        "user_id": user,
        "item_id": item,
        "item": known.get(item),
        "time": time,
        "behaviour": None if ours is None else BEHAVIOURS.index(ours) + 1,
        "surface": SURFACES.index(surface) + 1 if surface in SURFACES else 0,
        **{name: numbers[name][1] for name in NUMBERED},
        "order_id": as_id(at("order_id")),
        "reason": reason,
    }


def judge_item(row):
    """One item of text columns."""
    item = as_id(row.get("item_id"))
    texts = {name: as_text(row.get(name)) for name in TEXTS}
    parts = [_stripped(texts[name]) for name in ("title", "brand", "category", "description")]
    text = _stripped(texts["text"]) or ". ".join(part for part in parts if part) or None
    given, price = as_number(row.get("price"))
    reason = next(
        code
        for code, broken in [
            ("no_item_id", item is None),
            ("no_text", text is None),
            ("bad_price", given and price is None),
            ("negative_price", price is not None and price < 0),
            (None, True),
        ]
        if broken
    )
    kept = {name: texts[name] for name in ("category", "brand", "image")}
    return {"item_id": item, "text": text, "price": price, "reason": reason, **kept}


TEXTS = ("title", "text", "brand", "category", "description", "image")


def as_text(value):
    """Text, None where empty."""
    return value or None


def _stripped(text):
    """Without the spaces of any script at its ends; tabs and line breaks stay."""
    kept = list(text or "")
    while kept and unicodedata.category(kept[-1]) == "Zs":
        kept.pop()
    while kept and unicodedata.category(kept[0]) == "Zs":
        kept.pop(0)
    return "".join(kept)
