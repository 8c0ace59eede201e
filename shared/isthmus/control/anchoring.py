"""Which line of a log is told to the other side, and when a line about the other's is written.

Each side writes a line when the other's log has grown. If those lines themselves counted as growth,
two idle sides would write one line for the other without end. So what is told is the last line that
is no anchor.
"""

from __future__ import annotations

import json
from typing import Any, Final

from isthmus.audit_log import Anchor, AuditLog, anchor_line

SERVER: Final = "server"
"""Whose log the server's is, in a platform's anchors; a platform's is under its name."""

_TAIL: Final = 64 * 1024  # bytes that are looked at


def told_anchor(log: AuditLog) -> Anchor:
    """The last line that is no anchor.

    Where the last 64 KiB hold nothing but anchors it is the log's last line.

    Raises:
        AuditError: the last line was altered.
        OSError: the log cannot be read.
    """
    head = log.head()
    if head.lines == 0:
        return head
    with log.path.open("rb") as handle:
        size = handle.seek(0, 2)
        handle.seek(max(0, size - _TAIL))
        whole = handle.read().split(b"\n")[:-1]  # what is behind the last newline is unfinished
    for text in reversed(whole):
        line = _line(text)
        if line is not None and line.get("kind") != "anchor" and type(line.get("line")) is int:
            return Anchor(line["line"], str(line.get("hash")))
    return head


def write_anchor(log: AuditLog, owner: str, anchor: Anchor, before: Anchor | None) -> bool:
    """Write how far the other side's log has come, if that is news; whether it was.

    Args:
        log: this side's.
        owner: whose log `anchor` is of.
        anchor: what the owner tells.
        before: what was written of it last; None = nothing.

    Raises:
        AuditError, OSError: as of `AuditLog.append`.
    """
    if anchor == before or anchor.lines == 0:
        return False
    log.append(anchor_line(owner, anchor))
    return True


def _line(text: bytes) -> dict[str, Any] | None:
    """A line of JSON; None = it is none, as where the look began in the middle of one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
