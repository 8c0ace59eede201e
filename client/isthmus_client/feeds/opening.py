"""What a table of `platform.toml` names, as feeds: one a file, one a table or query."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isthmus.errors import DataInvalidError
from isthmus_client.contract.model import Table
from isthmus_client.feeds.csv_feed import CsvFeed
from isthmus_client.feeds.feed import Feed
from isthmus_client.feeds.file_source import FileSource
from isthmus_client.feeds.json_lines import JsonLinesFeed
from isthmus_client.feeds.parquet import ParquetFeed
from isthmus_client.feeds.places import find_files, one_format


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
    files = find_files(table.source, folder)
    kind = one_format(files, table.format)
    theirs = tuple(table.columns.get(name, name) for name in ours)
    return tuple(_open(file, kind, table, theirs) for file in files)


def _open(file: FileSource, kind: str, table: Table, theirs: Sequence[str]) -> Feed:
    if kind == "parquet":
        return ParquetFeed(file)
    if kind == "csv":
        return CsvFeed(file, delimiter=table.delimiter, encoding=table.encoding)
    if kind == "jsonl":
        return JsonLinesFeed(file, encoding=table.encoding, wanted=theirs)
    raise DataInvalidError(f"{file.name}: files of the format {kind!r} cannot be read")
