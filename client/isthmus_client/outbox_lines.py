"""What left a platform, as its audit log holds it: a receipt for each departure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from isthmus.audit_log import verify_log
from isthmus.audit_log.files import stored_lines
from isthmus.audit_log.lines import parsed
from isthmus.errors import AuditError, DataMissingError
from isthmus_client.home import Home

_LEAST_DIGITS: Final = 6  # of a hash that names a receipt
_NEEDED: Final = frozenset({"run", "sha256", "users"})
"""What a line says of a departure and no other line does."""


def departures(home: Home, run: str | None = None) -> tuple[dict[str, Any], ...]:
    """The receipts, in the order in which things left.

    Args:
        home: the platform's.
        run: of this run alone; None = of all.

    Raises:
        AuditError: the log was altered; names the first line.
        OSError: the log cannot be read.
    """
    return tuple(each for each in _receipts(home) if run is None or each["run"] == run)


def departure(home: Home, which: str) -> dict[str, Any]:
    """One receipt, by its line's number or by the first digits of its hash.

    Raises:
        AuditError: the log was altered; names the first line.
        DataMissingError: there is no such receipt, or several.
    """
    receipts = departures(home)
    if which.isdigit() and len(which) < _LEAST_DIGITS:
        found = [each for each in receipts if each["line"] == int(which)]
    else:
        found = [each for each in receipts if _begins(each, which.lower())]
    if len(found) == 1:
        return found[0]
    words = "no receipt is" if not found else f"{len(found)} receipts are"
    raise DataMissingError(
        f"{words} named by {which!r}",
        hint="isthmus client outbox list shows lines and hashes; 6 digits of a hash at least",
    )


def _begins(receipt: dict[str, Any], digits: str) -> bool:
    if len(digits) < _LEAST_DIGITS:
        return False
    return any(str(receipt[name]).startswith(digits) for name in ("hash", "sha256"))


def _receipts(home: Home) -> Iterable[dict[str, Any]]:
    path = home.federation / "audit.jsonl"
    check = verify_log(path)
    if check.first_bad is not None:
        raise AuditError(
            f"{path}: line {check.first_bad} was {check.what}: what the log says is not to be "
            "trusted from there on",
            hint=f"isthmus audit verify {path}; then find out who changed it",
        )
    for text in stored_lines(path):
        line = parsed(text.rstrip(b"\n")) if text.endswith(b"\n") else None
        if line is not None and line.keys() >= _NEEDED:
            yield line
