"""What a table of `platform.toml` names, as feeds: one a file, one a table or query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from isthmus.errors import DataInvalidError
from isthmus_client.contract.model import Table
from isthmus_client.feeds.credentials import find_password
from isthmus_client.feeds.csv_feed import CsvFeed
from isthmus_client.feeds.databases import open_database
from isthmus_client.feeds.duckdb_reader import DuckDBReader
from isthmus_client.feeds.feed import Feed
from isthmus_client.feeds.file_source import FileSource
from isthmus_client.feeds.json_lines import JsonLinesFeed
from isthmus_client.feeds.parquet import ParquetFeed
from isthmus_client.feeds.places import find_files, one_format
from isthmus_client.feeds.remote import find_remote_files
from isthmus_client.feeds.table_feed import TableFeed

_SCHEME: Final = re.compile(r"^([a-z][a-z0-9.-]+)(\+\w+)?:(?=//)", re.IGNORECASE)
_DUCKDB: Final = re.compile(r"^duckdb:///", re.IGNORECASE)
_DATABASES: Final = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}


def open_feeds(table: Table, folder: Path, ours: Sequence[str] = ()) -> tuple[Feed, ...]:
    """The feeds of a table, sorted by name; their rows are read when asked for.

    Args:
        table: where it is, and of what format.
        folder: of `platform.toml`.
        ours: our names of the columns that will be looked for. JSON Lines names columns only
            where they have a value, so that it must be known what to look for.

    Raises:
        DataMissingError: nothing is there, or it cannot be reached.
        DataInvalidError: it is damaged, of an unknown format, or has no usable header.
        NotInstalledError: a package that this kind of source needs is not installed.
    """
    found = _SCHEME.match(table.source)
    scheme = found[1].lower() if found else ""
    if table.is_database:
        return (_open_table(table, folder, scheme),)
    if scheme in {"", "file"}:
        files = find_files(table.source.removeprefix(found[0] + "//" if found else ""), folder)
    else:
        files = find_remote_files(table.source)
    kind = one_format(files, table.format)
    theirs = tuple(table.columns.get(name, name) for name in ours)
    return tuple(_open_file(file, kind, table, theirs) for file in files)


def _open_file(file: FileSource, kind: str, table: Table, theirs: Sequence[str]) -> Feed:
    if kind == "parquet":
        return ParquetFeed(file)
    if kind == "csv":
        return CsvFeed(file, delimiter=table.delimiter, encoding=table.encoding)
    return JsonLinesFeed(file, encoding=table.encoding, wanted=theirs)


def _open_table(table: Table, folder: Path, scheme: str) -> Feed:
    read = table.table or "query"
    if scheme in {"", "duckdb"}:
        path = folder / Path(_DUCKDB.sub("", table.source)).expanduser()
        return TableFeed(f"{path.name}/{read}", DuckDBReader(path, table))
    if scheme not in _DATABASES:
        raise DataInvalidError(
            f"{scheme}:// is no database that is read here",
            hint="postgresql://, mysql:// and duckdb:/// are; export other tables to Parquet",
        )
    kind = _DATABASES[scheme]
    password = find_password(folder / table.credentials if table.credentials else None)
    return TableFeed(f"{kind}/{read}", open_database(kind, table, password))
