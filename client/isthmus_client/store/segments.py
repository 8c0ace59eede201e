"""Sealed files of columns: events of a month, users, items, and the optional tables."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from isthmus.errors import KeysError, StoreError
from isthmus_client.store.columns import EventColumns, Sorted
from isthmus_client.vault import read_sealed, write_sealed

FOLDER: Final = "segments"
PSEUDONYM: Final = 32  # bytes
SORTED_COLUMNS: Final = ("user", "item", "time", "behaviour")

_DELTA: Final = "DELTA_BINARY_PACKED"
_ENCODINGS: Final = {"user": _DELTA, "item": _DELTA, "time": _DELTA, "line": _DELTA}
_REPEATED: Final = ("behaviour", "feed", "surface", "price", "quantity", "rating")


@dataclass(frozen=True)
class Segments:
    """The folder of sealed files.

    A file's name holds 64 random bits and is part of what its content is sealed for: a file that
    is put in another's place, or an older one that is put back, is refused.

    Attributes:
        folder: where they lie.
        key: of the keyring's role `store`.
    """

    folder: Path
    key: bytes

    def write(self, kind: str, data: bytes) -> str:
        """Seal bytes into a new file; its name.

        Raises:
            StoreError: the file cannot be written.
        """
        name = f"{kind}-{secrets.token_hex(8)}"
        write_sealed(self.folder / name, self.key, _role(name), data)
        return name

    def read(self, name: str) -> bytes:
        """What was sealed into a file.

        Raises:
            StoreError: it is gone or was altered.
        """
        try:
            return read_sealed(self.folder / name, self.key, _role(name))
        except KeysError as error:  # the manifest opened with this key
            raise StoreError(
                f"{self.folder / name} was altered", hint="restore the store from a backup"
            ) from error

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return (self.folder / name).is_file()

    def write_table(self, kind: str, table: pa.Table) -> str:
        """The same for a table."""
        return self.write(kind, _parquet(table, compression="zstd"))

    def read_table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The table of a file, or some of its columns."""
        return pq.read_table(
            pa.BufferReader(self.read(name)), columns=None if columns is None else list(columns)
        )

    def write_events(self, month: str, events: EventColumns) -> str:
        """Seal a month's events, sorted by user and time."""
        return self.write(month, encoded(events))

    def read_events(self, name: str) -> EventColumns:
        """What `write_events` wrote."""
        return decoded(self.read_table(name))

    def read_sorted(self, name: str) -> Sorted:
        """The same, but only what sequences are made of."""
        table = self.read_table(name, SORTED_COLUMNS)
        return Sorted(**{column: table[column].to_numpy() for column in SORTED_COLUMNS})


def encoded(events: EventColumns) -> bytes:
    """Events as Parquet: numbers that rise in steps are stored as steps, few values as codes."""
    table = pa.table(events.present())
    encodings = {name: way for name, way in _ENCODINGS.items() if name in table.column_names}
    repeated = [name for name in _REPEATED if name in table.column_names]
    return _parquet(table, compression="lz4", use_dictionary=repeated, column_encoding=encodings)


def decoded(table: pa.Table) -> EventColumns:
    """What `encoded` encoded."""
    return EventColumns(**{name: table[name].to_numpy() for name in table.column_names})


def _parquet(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_statistics=False, **options)
    return bytes(memoryview(sink.getvalue()))


def _role(name: str) -> str:
    return f"store segment {name}"
