"""How Alembic runs our steps: on the connection that it is given, within its transaction."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from isthmus_server.state.column_types import UtcTime, Words
from isthmus_server.state.schema import VERSION_TABLE
from isthmus_server.state.tables import metadata


def _plain(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Our column types in a new step's text: what the database sees, as a step never changes."""
    if kind == "type" and isinstance(item, UtcTime):
        return "sa.DateTime(timezone=True)"
    return "sa.Text()" if kind == "type" and isinstance(item, Words) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_item=_plain,
    render_as_batch=True,  # SQLite alters a column by making its table anew
)
with context.begin_transaction():
    context.run_migrations()
