"""Readable item texts from a store's abbreviated product words.

A text encoder knows "frozen pizza", not "FRZN PZZA": the commonest abbreviations of the product
hierarchy are written out. Fixed before any evaluation; not tuned.
"""

from __future__ import annotations

import re
from typing import Final

_PHRASES: Final = {
    "sft drnk": "soft drink",
    "soft drnk": "soft drink",
    "pnt btr": "peanut butter",
    "dry bn": "dry beans",
    "sw gds": "sweet goods",
    "sgl sv": "single serve",
    "sngl srv": "single serve",
    "vend mach": "vending machine",
    "fem hygn": "feminine hygiene",
    "mlt pk": "multi pack",
    "mult pk": "multi pack",
    "btr mix": "batter mix",
    "n a deod": "non aerosol deodorant",
}
_WORDS: Final = {
    "acces": "accessories",
    "accss": "accessories",
    "bev": "beverages",
    "bkd": "baked",
    "bn": "bean",
    "brd": "breaded",
    "brkfst": "breakfast",
    "btl": "bottle",
    "carb": "carbonated",
    "catfd": "cat food",
    "chix": "chicken",
    "choc": "chocolate",
    "chococlate": "chocolate",
    "chocol": "chocolate",
    "chocola": "chocolate",
    "cig": "cigarette",
    "ckys": "cookies",
    "cleang": "cleaning",
    "cnd": "canned",
    "cndles": "candles",
    "cndy": "candy",
    "cntrl": "control",
    "conc": "concentrate",
    "containr": "container",
    "crbntd": "carbonated",
    "crkr": "crackers",
    "crmd": "creamed",
    "dan": "danish",
    "deod": "deodorant",
    "dinnrs": "dinners",
    "disposible": "disposable",
    "dnr": "dinner",
    "dnrs": "dinners",
    "dogfd": "dog food",
    "dps": "dips",
    "drnk": "drink",
    "drnking": "drinking",
    "drnkng": "drinking",
    "drnks": "drinks",
    "drsng": "dressing",
    "exct": "exact",
    "fd": "food",
    "flvr": "flavored",
    "flvrd": "flavored",
    "fre": "fresh",
    "frz": "frozen",
    "frzn": "frozen",
    "gds": "goods",
    "gm": "general merchandise",
    "grnd": "ground",
    "hbc": "health and beauty care",
    "incl": "",
    "including": "",
    "inclu": "",
    "iqf": "individually frozen",
    "jce": "juice",
    "ltr": "lighter",
    "marin": "marinade",
    "may": "mayonnaise",
    "misc": "miscellaneous",
    "mlk": "milk",
    "mnrl": "mineral",
    "mx": "mix",
    "mxs": "mixes",
    "orient": "oriental",
    "pk": "pack",
    "pkgd": "packaged",
    "pkld": "pickled",
    "portnd": "portioned",
    "ppk": "prepacked",
    "prem": "premium",
    "preportnd": "preportioned",
    "prod": "produce",
    "prpck": "prepacked",
    "prslc": "presliced",
    "pwdr": "powder",
    "pwdrs": "powders",
    "refrig": "refrigerated",
    "refrgratd": "refrigerated",
    "retl": "retail",
    "rts": "ready to serve",
    "rw": "raw",
    "sal": "salad",
    "sald": "salad",
    "saus": "sausage",
    "sft": "soft",
    "sherbts": "sherbet",
    "sndwch": "sandwich",
    "snks": "snacks",
    "spcl": "special",
    "specilaty": "specialty",
    "sply": "supplies",
    "sprd": "spread",
    "ss": "single serve",
    "stk": "stick",
    "sup": "super",
    "swt": "sweet",
    "syrp": "syrup",
    "tiss": "tissue",
    "trsh": "trash",
    "veg": "vegetables",
    "whlsm": "wholesome",
    "wrld": "world",
    "wt": "weight",
    "wtr": "water",
}
_UNITS: Final = {
    "bg": "bag",
    "ct": "count",
    "ctn": "carton",
    "ft": "feet",
    "gal": "gallon",
    "l": "liter",
    "lb": "pound",
    "ltr": "liter",
    "oz": "ounce",
    "pk": "pack",
    "pt": "pint",
    "qt": "quart",
}
_BREAKS: Final = re.compile(r"[^a-z0-9%&.']+")


def item_text(kind: str, category: str, brand: str, size: str, maker: str = "") -> str:
    """One item's text, e.g. "pizza premium, frozen pizza, national brand, 12 ounce".

    Args:
        kind: the product type, the narrowest name that the store gives.
        category: the product category.
        brand: "Private" (the store's own) or "National".
        size: of the package.
        maker: number of the manufacturer, whose name the data does not give.
            Each of the five may be empty.
    """
    names = [_readable(kind), _readable(category)]
    if names[0] == names[1]:
        names.pop()
    owner = f"{brand.lower()} brand" if brand else ""
    parts = [*names, owner, _measure(size), f"maker {maker}" if maker else ""]
    return ", ".join(part for part in parts if part) or "unnamed item"


def _readable(text: str) -> str:
    """Lower case, one space between words, abbreviations written out."""
    plain = " ".join(word.strip(".") for word in _BREAKS.split(text.lower()) if word.strip("."))
    for short, long in _PHRASES.items():
        plain = re.sub(rf"\b{short}\b", long, plain)
    words = (_WORDS.get(word, word) for word in plain.split())
    return " ".join(word for word in words if word)


def _measure(size: str) -> str:
    """A package size with its unit written out; "12 PK/12 OZ" is "12 pack 12 ounce"."""
    words = (_UNITS.get(word, word) for word in _BREAKS.split(size.lower()))
    return " ".join(word for word in words if word)
