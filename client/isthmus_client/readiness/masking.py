"""What of a row a report may show."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Final

MOST_CHARACTERS: Final = 60  # of a value that is shown
USER_COLUMNS: Final = frozenset({"user_id", "other_id"})
HIDDEN: Final = "(hidden: it holds a user's id)"
ADDRESS: Final = "(hidden: an address)"


class Masker:
    """Shows people in one report as "u" with an ellipsis and four hexadecimal digits.

    Guarantees:
        The key is drawn anew for each report and forgotten with it: two reports cannot be joined,
        and nobody can try ids against a mask later.
        `values` never gives a value that is or holds the row's own user id, nor one for which
        `is_user` says that it is some user's id.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def mask(self, user_id: str) -> str:
        """The same for the same id within one report; other ids may share it."""
        return "u…" + hmac.new(self._key, user_id.encode(), hashlib.sha256).hexdigest()[:4]

    def values(
        self, raw: Mapping[str, str | None], is_user: Callable[[str], bool]
    ) -> dict[str, str]:
        """{our column: what may be shown} of {our column: what stands there}."""
        own = {value.strip() for name, value in raw.items() if value and name in USER_COLUMNS}
        own.discard("")
        return {name: self._value(name, value, own, is_user) for name, value in raw.items()}

    def _value(
        self, name: str, value: str | None, own: set[str], is_user: Callable[[str], bool]
    ) -> str:
        if value is None or not value.strip():
            return "(empty)"
        if name in USER_COLUMNS:
            return self.mask(value.strip())
        if any(each in value for each in own) or is_user(value) or is_user(value.strip()):
            return HIDDEN
        if "@" in value:
            return ADDRESS
        return value if len(value) <= MOST_CHARACTERS else value[: MOST_CHARACTERS - 1] + "…"
