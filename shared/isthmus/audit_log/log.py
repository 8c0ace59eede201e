"""Write an audit log: one line at a time, on disk before it counts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.audit_log.files import (
    end_of_lines,
    last_line,
    locked,
    newlines_before,
    write_line,
)
from isthmus.audit_log.lines import RESERVED, ROOT, line_of, parsed, written
from isthmus.errors import AuditError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Anchor:
    """How far a log had come: what the other side keeps of it.

    Attributes:
        lines: whole lines; 0 = the log was empty.
        hash: of the last of them; 64 zeros if there was none.
    """

    lines: int
    hash: str


@dataclass(frozen=True)
class AuditLog:
    """A file of chained lines.

    Attributes:
        path: made with its folder by the first line, mode 0600.
        key: signs every line; None = they are chained only.

    Guarantees:
        - Many processes and threads may write: lines never mix, and make one chain.
        - A line is on the disk when `append` returns. If it cannot be written, the file is as it
          was. A line that a crash left unfinished is cut off by the next, which says so.
        - To add a line, only the last one is read.
    """

    path: Path
    key: Ed25519PrivateKey | None = field(default=None, repr=False)

    def append(self, body: Mapping[str, Any]) -> str:
        """Add a line and return its hash.

        Args:
            body: JSON values under any names but `cut`, `hash`, `line`, `previous` and `signature`.

        Raises:
            AuditError: the last line was altered; nothing is added.
            OSError: the disk is full or the file cannot be written; nothing is added.
            ValueError: the body uses a reserved name or holds NaN.
        """
        if taken := RESERVED & body.keys():
            raise ValueError(f"a line's body may not say {sorted(taken)}")
        with locked(self.path) as descriptor:
            end, torn = end_of_lines(descriptor)
            before = self._anchor(descriptor, end)
            place = {"cut": torn, "line": before.lines + 1, "previous": before.hash}
            line = line_of({**body, **place}, self.key)
            if torn:
                _log.warning("%s: cut %d bytes of an unfinished line", self.path, torn)
            write_line(descriptor, end, written(line))
        return str(line["hash"])

    def head(self) -> Anchor:
        """How far the log has come; a file that is not there has no lines.

        Raises:
            AuditError: the last line was altered.
            OSError: the file cannot be read.
        """
        if not self.path.exists():
            return Anchor(0, ROOT)
        with locked(self.path) as descriptor:
            return self._anchor(descriptor, end_of_lines(descriptor)[0])

    def _anchor(self, descriptor: int, end: int) -> Anchor:
        """The lines up to `end`, which is the end of a line."""
        if end == 0:
            return Anchor(0, ROOT)
        last = parsed(last_line(descriptor, end))
        if last is None:
            raise AuditError(
                f"the last line of {self.path} was altered, so nothing can be added",
                hint="find out who changed the file; move it away to begin a new chain",
            )
        number = last.get("line")
        if type(number) is not int:  # a line of before they were numbered
            number = newlines_before(descriptor, end)
        return Anchor(number, last["hash"])
