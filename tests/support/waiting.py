"""Wait until something has come to pass, and fail with a word where it does not."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_NEVER = threading.Event()


def until(condition: Callable[[], T], seconds: float = 20.0, what: str = "it") -> T:
    """The first true value of the condition, which is looked at again and again."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come to pass in {seconds:g} s"
        _NEVER.wait(0.02)
    return found
