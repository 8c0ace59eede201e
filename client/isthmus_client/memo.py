"""What is costly to make and asked for by several: made once, kept while there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memo(Generic[Value]):
    """Values by key; the one asked for longest ago goes first.

    Whoever asks may do so from any thread. A value is made under the lock, so it should be cheap to
    make and compute its costly parts when they are first read.
    """

    def __init__(self, most: int) -> None:
        """Keep so many values at most."""
        self._most = most
        self._kept: OrderedDict[bytes, Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes, make: Callable[[], Value]) -> Value:
        """The value of a key, made if it is not kept."""
        with self._lock:
            value = self._kept.pop(key) if key in self._kept else make()
            self._kept[key] = value
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return value

    def __len__(self) -> int:
        """Number of values kept."""
        return len(self._kept)

    def clear(self) -> None:
        """Let everything go."""
        with self._lock:
            self._kept.clear()
