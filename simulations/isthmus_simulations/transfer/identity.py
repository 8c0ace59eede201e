"""What a finished cell's figures depend on: options, code and data, as short digests.

A cell is never computed twice under the same identity, and never mixed with cells of another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from isthmus import __version__
from isthmus.errors import ResumeError
from isthmus.files import digest
from isthmus.sources import source_digest
from isthmus_client.platform import Platform
from isthmus_simulations.plan import TrainingPlan

_PACKAGES: Final = ("isthmus", "isthmus_client", "isthmus_server", "isthmus_simulations")
_SPEAK_ONLY: Final = ("cli", "console", "doctor", "report", "terminal", "page", "table", "newcomer")
"""Beginnings of names of modules that show figures, or compute others; they change no cell."""

Identity = dict[str, Any]


def identity(
    scenario: str, deciding: Mapping[str, Any], plan: TrainingPlan, data: str, code: str
) -> Identity:
    """Everything that decides a cell, by name, so that a difference can be named.

    Args:
        scenario: its name.
        deciding: the benchmark's options that a cell depends on.
        plan: the training plan with the cell's seed.
        data: `data_digest` of the platforms.
        code: `code_digest`.
    """
    return {
        "scenario": scenario,
        **deciding,
        "training": plan.record(),
        "data": data,
        "isthmus": __version__,
        "code": code,
    }


def data_digest(platforms: Iterable[Platform]) -> str:
    """Of all that training and ranking read: histories, split, catalogue and content vectors."""
    return digest(*(part for platform in platforms for part in _parts(platform)))[:16]


def _parts(platform: Platform) -> Iterable[bytes]:
    histories, split, catalogue = platform.histories, platform.split, platform.catalogue
    arrays = (
        histories.offsets,
        histories.items,
        histories.behaviours,
        histories.times,
        split.train_stop,
        split.validation_stop,
        platform.vectors,
        catalogue.prices,
    )
    yield platform.name.encode()
    yield from (np.ascontiguousarray(array).tobytes() for array in arrays)
    yield "\x1f".join((*catalogue.texts, *catalogue.categories)).encode()


def require_code(code: str) -> None:
    """Refuse to compute a cell with other code than its benchmark started with.

    Args:
        code: `code_digest` when it started.

    Raises:
        ResumeError: the installed code is no longer that.
    """
    if code_digest() != code:
        raise ResumeError(
            "the installed code changed while the benchmark was at work",
            hint="run the benchmark from a copy of the code that nobody edits",
        )


def code_digest() -> str:
    """Of the source of every module that can change a figure: a cell of older code is another."""
    return source_digest(_PACKAGES, skip=_SPEAK_ONLY, endings=(".py", ".toml"))[:16]
