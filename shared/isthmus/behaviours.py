"""The vocabulary of behaviours that every platform maps its own words to."""

from __future__ import annotations

from typing import Final

BEHAVIOURS: Final = (
    "view",
    "click",
    "cart",
    "favourite",
    "purchase",
    "rate",
    "return",
    "redeem",
    "share",
    "search",
)
"""A behaviour's code is its place here plus one; 0 is padding. Append only: codes are trained."""

PADDING: Final = 0
_CODES: Final = {name: code for code, name in enumerate(BEHAVIOURS, start=1)}


def behaviour_code(name: str) -> int:
    """The code of a behaviour, 1 to len(BEHAVIOURS).

    Raises:
        KeyError: `name` is not in BEHAVIOURS.
    """
    return _CODES[name]
