"""What a platform does on its own machines."""

from __future__ import annotations

import typer

from isthmus_client.cli_certificate import certificate
from isthmus_client.cli_check import check
from isthmus_client.cli_federation import approve_run, outbox, status
from isthmus_client.cli_forget import forget
from isthmus_client.cli_ingest import ingest
from isthmus_client.cli_init import init
from isthmus_client.cli_join import join
from isthmus_client.cli_privacy import privacy
from isthmus_client.cli_privacy_ledger import budget, export, history, show
from isthmus_client.cli_trial import trial
from isthmus_client.cli_up import up

app = typer.Typer(
    help="What a platform does on its own machines.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def _root() -> None:
    """What a platform does on its own machines."""


app.command()(init)
app.command()(check)
app.command()(ingest)
app.command()(forget)
app.command()(join)
app.command()(up)
app.command()(approve_run)
app.command()(status)
app.command()(certificate)
app.command()(trial)
for _verb in (show, history, export, budget):
    privacy.command()(_verb)
app.add_typer(privacy, name="privacy")
app.add_typer(outbox, name="outbox")
