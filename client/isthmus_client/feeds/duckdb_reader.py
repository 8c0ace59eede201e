"""A DuckDB file, opened read-only, by a query that can reach nothing besides that file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_client.contract.model import Table
from isthmus_client.feeds.sql import identifier, relation, selection

_CLOSED: Final = {  # a query may read this file and nothing else
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "temp_directory": "",  # a large sort fails rather than leave rows on the disk
}
_AS_IT_IS: Final = ("VARCHAR", "ENUM", "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT",
                    "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE", "DECIMAL",
                    "DATE", "TIMESTAMP")  # fmt: skip
# Raised before a row is read, so that their words hold nothing of one.
_OF_THE_QUERY: Final = (duckdb.CatalogException, duckdb.BinderException, duckdb.ParserException)


class DuckDBReader:
    """A table or query of a DuckDB file; the file is open only while it is read.

    Args:
        path: the file.
        table: names the table or holds the query.
    """

    notes = ()

    def __init__(self, path: Path, table: Table) -> None:
        self._path = path
        self._source = relation(table, '"')

    def columns(self) -> tuple[str, ...]:
        """Their names, in order.

        Raises:
            DataMissingError: there is no such file, or another process writes it.
            DataInvalidError: it is no DuckDB file, or holds no such table.
        """
        with self._opened() as connection:
            return tuple(connection.sql(selection(["*"], self._source)).columns)

    def tables(self, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """As `Reader.tables` says; types beyond numbers, times and text become text."""
        with self._opened() as connection:
            relation_of_all = connection.sql(selection(["*"], self._source))
            kinds = dict(zip(relation_of_all.columns, map(str, relation_of_all.types), strict=True))
            shown = [_expression(name, kinds[name]) for name in columns]
            chosen = connection.sql(selection(shown, self._source))
            for batch in chosen.to_arrow_reader(rows):
                yield pa.Table.from_batches([batch])

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        if not self._path.is_file():
            raise DataMissingError(
                f"there is no DuckDB file {self._path.name}",
                hint="a relative path is seen from the folder of platform.toml",
            )
        try:
            connection = duckdb.connect(str(self._path), read_only=True, config=dict(_CLOSED))
        except duckdb.Error as error:
            raise self._not_opened(error) from None
        with connection:
            try:
                yield connection
            except _OF_THE_QUERY as error:
                said = str(error).partition("\n")[0]
                raise DataInvalidError(
                    f"{self._path.name}: {said}", hint="check `table` or `query` in platform.toml"
                ) from None
            except duckdb.Error as error:
                kind = type(error).__name__
                raise DataInvalidError(
                    f"{self._path.name} cannot be read any further: {kind}",
                    hint="run the query in DuckDB itself; what it says may hold rows, and is "
                    "not repeated here",
                ) from None

    def _not_opened(self, error: duckdb.Error) -> DataMissingError | DataInvalidError:
        """Why; the library's words name places, never rows."""
        said = str(error)
        if "lock" in said or isinstance(error, duckdb.ConnectionException):
            return DataMissingError(
                f"{self._path.name} is open for writing elsewhere",
                hint="wait until what writes it is done, or name a copy or an export of it",
            )
        if "Permission denied" in said:
            return DataMissingError(f"{self._path.name} may not be read by this user")
        return DataInvalidError(
            f"{self._path.name} is no DuckDB file that this version can read",
            hint="export it to Parquet, or name the file that was meant",
        )


def _expression(name: str, kind: str) -> str:
    column = identifier(name, '"')
    usual = kind.startswith(_AS_IT_IS) and not kind.endswith("]")
    return column if usual else f"CAST({column} AS VARCHAR) AS {column}"
