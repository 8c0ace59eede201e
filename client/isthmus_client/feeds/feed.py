"""The seam between any source of rows and what judges, checks and stores them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import pyarrow as pa

LINE: Final = "_line"
BATCH_ROWS: Final = 262_144  # of one batch: some 20 MB of a usual events table


@dataclass(frozen=True)
class Malformed:
    """A line that could not be taken apart into columns; its content is never repeated.

    Attributes:
        line: in the file, counted from 1 with the header; of a row that spans lines, the first.
        reason: a code: "ragged", "encoding", "json" or "nul".
        detail: for a person, without anything of the line itself, e.g. "5 fields instead of 4".
    """

    line: int
    reason: str
    detail: str


OnMalformed = Callable[[Malformed], None]


class Feed(Protocol):
    """One file, or one table or query of a database."""

    @property
    def name(self) -> str:
        """What messages call it; never a password, never a folder outside the platform's."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Their names, in order."""
        ...

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 over the content, in hexadecimal; None where only reading all tells.

        Of a file it is computed, in bounded memory, when it is first asked for.
        """
        ...

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """What a person should know of how it was read: ("bom", "..."), ("delimiter", "...").

        What shows only on reading, such as other encodings, is there once `batches` is through.
        """
        ...

    def batches(
        self, columns: Sequence[str], on_malformed: OnMalformed, *, rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """The named columns (theirs) and a last column `_line` (int64), in order.

        Types are the source's own; CSV columns and JSON scalars are text (null where empty).
        Every row of the source comes out exactly once, or is given to `on_malformed`. It may be
        called again, and then reads from the start.

        Raises:
            DataMissingError: the source is gone or cannot be reached.
            DataInvalidError: it cannot be read any further; says where.
        """
        ...
