"""The heads of a ledger that the platform's receipts keep: by them an older copy is found out."""

from __future__ import annotations

import json
from pathlib import Path

from isthmus.audit_log import verify_log
from isthmus.errors import LedgerError

FIELD = "ledger"  # of a receipt: the ledger's head when the bytes left


def recorded_heads(receipts: Path) -> tuple[str, ...]:
    """All heads that a file of receipts names, oldest first; none if there is no such file.

    A ledger must contain every one of them: processes that send at once may write their receipts
    in another order than their rows.

    Raises:
        LedgerError: a receipt was altered, so they vouch for nothing.
        OSError: the file cannot be read.
    """
    check = verify_log(receipts)
    if check.first_bad is not None:
        raise LedgerError(
            f"receipt {check.first_bad} in {receipts} was altered, so the ledger cannot be "
            "checked against it",
            hint="find out who changed the file, and put the untouched copy back",
        )
    if not check.lines:
        return ()
    lines = receipts.read_bytes().split(b"\n")[: check.lines]
    found = (json.loads(line).get(FIELD) for line in lines)
    return tuple(each for each in found if isinstance(each, str) and each)


def latest_head(receipts: Path) -> str | None:
    """The newest head that a file of receipts names; None if it names none.

    Raises:
        LedgerError: a receipt was altered.
        OSError: the file cannot be read.
    """
    heads = recorded_heads(receipts)
    return heads[-1] if heads else None
