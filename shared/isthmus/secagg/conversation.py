"""A platform's part in one round, from the first message to the last, each at most once."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy.typing as npt

from isthmus.secagg import platform
from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.platform import Advertised, Agreeing, Masking, Sharing
from isthmus.secagg.site import Site
from isthmus.secagg.terms import Terms

_T = TypeVar("_T")


class Conversation:
    """The one place of a platform that holds a round's state; it lives in memory alone.

    Args:
        site: this platform.
        terms: as the server sent them.
        model: SHA-256 of the model that the server sent, 32 bytes.

    Attributes:
        opening: the first message, for the server.

    Guarantees:
        Each phase is answered once. After the first refusal, and after the end, every further
        message is refused and the secrets are forgotten.

    Raises:
        AggregationError: the platform did not agree to such a round.
    """

    def __init__(self, site: Site, terms: Terms, model: bytes) -> None:
        self._state: object
        self._state, self.opening = platform.advertise(site, terms, model)

    def share(self, data: bytes) -> bytes:
        """Phase 2; see `platform.share`."""
        state = self._taken(Advertised)
        self._state, answer = platform.share(state, data)
        return answer

    def mask(self, data: bytes, vector: npt.NDArray[Any]) -> bytes:
        """Phase 3; see `platform.mask`."""
        state = self._taken(Sharing)
        self._state, answer = platform.mask(state, data, vector)
        return answer

    def agree(self, data: bytes) -> bytes:
        """Phase 4; see `platform.agree`."""
        state = self._taken(Masking)
        self._state, answer = platform.agree(state, data)
        return answer

    def reveal(self, data: bytes) -> bytes:
        """Phase 5; see `platform.reveal`."""
        return platform.reveal(self._taken(Agreeing), data)

    def _taken(self, expected: type[_T]) -> _T:
        """The state, which is no longer here: what is refused, or ends, leaves none behind."""
        state, self._state = self._state, None
        if not isinstance(state, expected):
            refuse(Alarm.ORDER, f"{expected.__name__.lower()} is not where this round stands")
        return state
