"""The platform's own record of all that left it: an audit log of receipts.

Changing, dropping, adding or reordering lines breaks the chain at the first line that differs;
cutting lines off the end shows where somebody else holds how far the file had come.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.audit_log import AuditLog
from isthmus.errors import AuditError, OutboxError


def append_receipt(
    path: Path, body: Mapping[str, Any], *, key: Ed25519PrivateKey | None = None
) -> str:
    """Add one line, on disk before this returns, and return its hash.

    Args:
        path: of the receipts.
        body: what left.
        key: the platform's, which signs the line; None = the line is chained only.

    Raises:
        OutboxError: the last line was altered; nothing is added.
        OSError: the disk is full or the file cannot be written; nothing is added.
    """
    try:
        return AuditLog(path, key).append(body)
    except AuditError as error:
        raise OutboxError(f"nothing may leave: {error}", hint=error.hint) from error
