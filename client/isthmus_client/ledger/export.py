"""A ledger's rows as a file that anybody can check without us."""

from __future__ import annotations

import json
from pathlib import Path

from isthmus.errors import LedgerError
from isthmus.files import write_bytes
from isthmus_client.ledger.ledger import Ledger


def export_rows(ledger: Ledger, out: Path) -> str:
    """Write all rows, checked, as JSON Lines; the head.

    A line is a row with its own hash added, keys sorted: the form of receipts, so `verify_log`
    checks it too.

    Raises:
        LedgerError: a row was altered, and nothing is written; or `out` cannot be written.
    """
    rows = ledger.lines()
    lines = [
        json.dumps({**json.loads(line), "hash": digest}, sort_keys=True) for line, digest in rows
    ]
    try:
        write_bytes(out, "".join(f"{line}\n" for line in lines).encode())
    except OSError as error:
        raise LedgerError(
            f"{out} cannot be written: {error.strerror}", hint="name another place with --out"
        ) from error
    return rows[-1][1]
