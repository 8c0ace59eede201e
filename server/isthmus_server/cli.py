"""What the operator of a federation does."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="What the operator of a federation does.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def _root() -> None:
    """What the operator of a federation does."""
