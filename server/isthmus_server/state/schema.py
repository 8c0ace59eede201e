"""A database is brought to today's tables, by one process, all or nothing."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, String, inspect, select, text
from sqlalchemy.sql import column, table

from isthmus.errors import StateError
from isthmus_server.state.database import Database

SCHEMA: Final = "0001"
"""The newest step; a test holds that Alembic finds the same."""

VERSION_TABLE: Final = "isthmus_schema"
_LOCK: Final = 0x697374686D7573  # PostgreSQL's advisory lock for this alone: "isthmus"


def bring_up(database: Database, revision: str = SCHEMA) -> None:
    """Take every step that is missing up to `revision`.

    Raises:
        StateError: a newer version of Isthmus, or another program, made the database.
    """
    with database.read() as connection:
        found = version(connection)
    if found == revision:
        return
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(select(text(f"pg_advisory_xact_lock({_LOCK})")))
        found = version(connection)
        refuse_newer(database, found)
        if found != revision:
            _refuse_foreign(database, connection, found)
            _upgrade(connection, revision)


def version(connection: Connection) -> str | None:
    """The last step that was taken; None = none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    query = select(column("version_num", String)).select_from(table(VERSION_TABLE))
    found = connection.execute(query).scalar()
    return None if found is None else str(found)


def alembic_config(connection: Connection) -> Any:
    """What Alembic's commands take."""
    from alembic.config import Config  # noqa: PLC0415 - a database is rarely old

    config = Config()
    config.set_main_option("script_location", "isthmus_server.state:migrations")
    config.attributes["connection"] = connection
    return config


def known_revisions() -> tuple[str, ...]:
    """Every step of this version, the first one first."""
    return tuple(f"{number:04d}" for number in range(1, int(SCHEMA) + 1))


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command  # noqa: PLC0415

    command.upgrade(alembic_config(connection), revision)


def refuse_newer(database: Database, found: str | None) -> None:
    """Stop before tables that this version does not know.

    Raises:
        StateError: a newer version made them.
    """
    if found is not None and found not in known_revisions():
        raise StateError(
            f"the state in {database.place} has the schema {found}; this version of Isthmus knows "
            f"{SCHEMA}",
            hint="run the version of Isthmus that made it, or newer",
        )


def _refuse_foreign(database: Database, connection: Connection, found: str | None) -> None:
    """Stop before tables of another program get in the way."""
    from isthmus_server.state.tables import metadata  # noqa: PLC0415 - it imports this module

    taken = set(inspect(connection).get_table_names()) & set(metadata.tables)
    if found is None and taken:
        raise StateError(
            f"{database.place} holds tables of another program: {', '.join(sorted(taken))}",
            hint="give the state a database of its own",
        )
