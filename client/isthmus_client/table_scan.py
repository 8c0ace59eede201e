"""Open a CSV or Parquet file as rows; what is not well formed is refused with its line."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import duckdb

from isthmus.errors import DataInvalidError

_CSV: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
_PARQUET: Final = (".parquet", ".pq")
_DELIMITERS: Final = ",;\t|"


def scan(connection: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyRelation:
    """The file's rows in order; a CSV file's columns are all text.

    A CSV file has a header and one of the delimiters comma, semicolon, tab or bar. The library's
    own guessing is off: on a ragged file it would quietly find a single column.

    Raises:
        DataInvalidError: neither CSV nor Parquet; empty; or a header that repeats a name.
        duckdb.Error: not well formed; for a CSV file only when its rows are read.
    """
    lower = path.name.lower()
    if lower.endswith(_PARQUET):
        return connection.read_parquet(str(path))
    if not lower.endswith(_CSV):
        raise DataInvalidError(
            f"{path.name} is neither CSV nor Parquet",
            hint="its name must end in .csv, .csv.gz, .tsv, .tsv.gz or .parquet",
        )
    names, delimiter = _header(path)
    return connection.read_csv(
        str(path),
        auto_detect=False,
        columns=dict.fromkeys(names, "VARCHAR"),
        header=True,
        sep=delimiter,
        quotechar='"',
        escapechar='"',
    )


def unreadable(path: Path, error: Exception) -> DataInvalidError:
    """The library's complaint about a file as ours, without its advice on its own options."""
    text = str(error).partition("Possible")[0].strip()
    reason = "; ".join(line.strip() for line in text.splitlines() if line.strip())
    return DataInvalidError(
        f"{path} cannot be read: {reason}",
        hint="it must be a well-formed CSV file (UTF-8, with a header) or a Parquet file",
    )


def _header(path: Path) -> tuple[Sequence[str], str]:
    """A CSV file's column names and delimiter."""
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as handle:
            line = handle.readline()
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise unreadable(path, error) from error
    if not line.strip():
        raise DataInvalidError(f"{path} is empty", hint="it needs a header and rows")
    delimiter = max(_DELIMITERS, key=line.count)
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]
    twice = sorted({name for name in names if names.count(name) > 1 or not name})
    if twice:
        raise DataInvalidError(
            f"{path}: the header has no name or the same name twice: {twice}",
            hint="give each column its own name",
        )
    return names, delimiter
