"""What the operator of a federation does."""

from __future__ import annotations

import typer

from isthmus_server.cli_init import init
from isthmus_server.cli_release import release
from isthmus_server.cli_roster import approve, invite, list_platforms, revoke
from isthmus_server.cli_run import runs
from isthmus_server.cli_state import backup, restore
from isthmus_server.cli_up import up

app = typer.Typer(
    help="What the operator of a federation does.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def _root() -> None:
    """What the operator of a federation does."""


app.command()(init)
app.command()(invite)
app.command()(approve)
app.command()(revoke)
app.command("list")(list_platforms)
app.command()(up)
app.command()(backup)
app.command()(restore)
app.add_typer(runs, name="run")
app.add_typer(release, name="release")
