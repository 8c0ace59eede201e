"""What was rejected, and why; the rows' values are not repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from isthmus.errors import StoreError
from isthmus.files import write_bytes

FOLDER: Final = "quarantine"

Lines = npt.NDArray[np.int64]


@dataclass
class Quarantine:
    """The rejected rows of one feed.

    Attributes:
        table: of the contract.
        feed: its name.
        lines: {(reason, our column): lines}, some at a time.

    Guarantees:
        It is told lines, reasons and our columns' names, never a value.
    """

    table: str
    feed: str
    lines: dict[tuple[str, str], list[Lines]] = field(default_factory=dict)

    def add(self, lines: Sequence[int] | Lines, reason: str, column: str = "") -> None:
        """Rows that have a reason in common."""
        if len(lines):
            found = np.asarray(lines, dtype=np.int64)
            self.lines.setdefault((reason, column), []).append(found)

    def add_judged(self, judged: pa.Table) -> None:
        """Rows with a reason, as `isthmus_client.rows` judges them."""
        faults = judged.select(["reason", "column"]).group_by(["reason", "column"]).aggregate([])
        for fault in faults.to_pylist():
            chosen = pc.equal(judged["reason"], fault["reason"])
            if fault["column"] is not None:
                chosen = pc.and_(chosen, pc.equal(judged["column"], fault["column"]))
            lines = judged["line"].filter(chosen).to_numpy()
            self.add(lines, fault["reason"], fault["column"] or "")

    def counts(self) -> dict[str, int]:
        """{reason: rows}, the most frequent first."""
        found: dict[str, int] = {}
        for (reason, _), parts in self.lines.items():
            found[reason] = found.get(reason, 0) + sum(part.size for part in parts)
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    def first(self, reason: str) -> int:
        """The smallest line with this reason."""
        named = [parts for (why, _), parts in self.lines.items() if why == reason]
        return min(int(part.min()) for parts in named for part in parts)

    def rows(self) -> pa.Table:
        """All of them: table, feed, line, reason, column; by line."""
        parts = [
            pa.table({"line": line, "reason": [why] * line.size, "column": [at] * line.size})
            for (why, at), lines in self.lines.items()
            for line in lines
        ]
        found = pa.concat_tables(parts).sort_by([("line", "ascending"), ("reason", "ascending")])
        named = found.add_column(0, "feed", pa.array([self.feed] * len(found), pa.string()))
        return named.add_column(0, "table", pa.array([self.table] * len(found), pa.string()))


def write_quarantine(path: Path, feeds: Sequence[Quarantine]) -> None:
    """A CSV file by table, feed and line, mode 0600; at least one row was rejected.

    Raises:
        StoreError: it cannot be written.
    """
    sink = pa.BufferOutputStream()
    rows = pa.concat_tables([one.rows() for one in feeds if one.lines])
    csv.write_csv(rows, sink, csv.WriteOptions(quoting_style="needed"))
    try:
        write_bytes(path, bytes(memoryview(sink.getvalue())), mode=0o600)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from error
