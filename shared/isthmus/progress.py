"""How long work tells that it moves; the default says nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[int], None]
"""Called with the number of steps just done."""


class Progress(Protocol):
    """Shows long work to a person."""

    def track(self, label: str, total: int) -> AbstractContextManager[Advance]:
        """A bar of `total` steps while the context is open."""
        ...

    def say(self, text: str) -> None:
        """One line that stays."""
        ...


class Silent:
    """Shows nothing: for libraries, tests and `--json`."""

    @contextmanager
    def track(self, label: str, total: int) -> Iterator[Advance]:  # noqa: ARG002 - the seam's face
        """A bar that nobody sees."""
        yield _ignore

    def say(self, text: str) -> None:
        """Nothing."""


def _ignore(steps: int) -> None:
    """Swallow the steps."""
