"""Options that several commands have, so that they are declared, bounded and shown in one way.

Each function makes the second part of an `Annotated[TYPE, ...]`.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, Final

import typer

CORES: Final = os.cpu_count() or 1
DEFAULT_CACHE: Final = Path(".isthmus-cache")
MAX_SEED: Final = 2**31 - 1


def text(meaning: str, *, panel: str | None = None, default: str | bool = True, **more: Any) -> Any:
    """Any value.

    Args:
        meaning: shown by `--help`.
        panel: heading under which it is shown.
        default: shown in the place of the default where words say it better.
        more: what else `typer.Option` takes.
    """
    return typer.Option(help=meaning, rich_help_panel=panel, show_default=default, **more)


def folder(meaning: str, *, panel: str | None = None, default: str | bool = True) -> Any:
    """A folder's path."""
    return text(meaning, panel=panel, default=default, metavar="DIR")


def file(meaning: str, *, panel: str | None = None) -> Any:
    """A file's path."""
    return text(meaning, panel=panel, metavar="FILE")


def names(meaning: str, *, default: str | bool = True) -> Any:
    """Names with commas between them."""
    return text(meaning, default=default, metavar="NAME,...")


def count(
    meaning: str, *, least: int = 1, panel: str | None = None, default: str | bool = True
) -> Any:
    """A whole number that is not below `least`."""
    return text(meaning, panel=panel, default=default, min=least)


def seconds(meaning: str, *, panel: str | None = None) -> Any:
    """A finite number of seconds, 0 or more."""
    return text(meaning, panel=panel, min=0, metavar="SECONDS", callback=_finite)


def _finite(value: float) -> float:
    """Refuse `inf` and `nan`, which no bound keeps out."""
    if not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no number of seconds")
    return value


def workers(meaning: str, *, panel: str | None = None) -> Any:
    """How many work at the same time; one per core where it is not given."""
    return count(meaning, panel=panel, default="one per core")


def seed(meaning: str = "The same seed gives the same result.", *, panel: str | None = None) -> Any:
    """A seed that every random generator in use takes."""
    return text(meaning, panel=panel, min=0, max=MAX_SEED)


def switch(name: str, meaning: str, *, panel: str | None = None) -> Any:
    """On if given, without a form that switches it off.

    Args:
        name: with its dashes, such as `--quick`.
        meaning: as in `text`.
        panel: as in `text`.
    """
    return typer.Option(name, help=meaning, rich_help_panel=panel)
