"""Which of our packages' extras are completely installed, read from the installed metadata."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import Any, Final

DISTRIBUTION: Final = "isthmus"

EXTRA_OF_PACKAGE: Final = {
    "isthmus_client": "client",
    "isthmus_server": "server",
    "isthmus_simulations": "simulation",
}
"""The extra that brings what a package of ours imports."""


def missing(extra: str) -> tuple[str, ...]:
    """Distributions that `extra` asks for and that are not installed, sorted by name.

    Only presence counts; pip has already judged versions. Nothing is missing where the metadata
    itself is absent, as in a bare checkout on `PYTHONPATH`.
    """
    return tuple(sorted(name for name in _wanted(extra) if not _installed(name)))


def _wanted(extra: str) -> set[str]:
    """Names of the distributions behind an extra, ours unfolded. Needs no order."""
    from packaging.requirements import Requirement  # noqa: PLC0415 - keeps `--help` fast

    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return set()
    parsed = [Requirement(line) for line in lines]
    return set(_unfold(parsed, extra))


def _unfold(requirements: list[Any], extra: str) -> Iterator[str]:
    """Names that apply under `extra`; `isthmus[client]` stands for what client asks for."""
    for requirement in requirements:
        if requirement.marker is None or not requirement.marker.evaluate({"extra": extra}):
            continue
        if requirement.name == DISTRIBUTION:
            for inner in sorted(requirement.extras):
                yield from _unfold(requirements, inner)
        else:
            yield requirement.name


def _installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
