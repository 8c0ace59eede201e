"""`isthmus client ingest`: what is new in a platform's feeds goes into its store."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.table import Table
from rich.text import Text

from isthmus.cli_options import file, seconds, switch
from isthmus.console import progress_for
from isthmus_client.home import CONTRACT, Home

if TYPE_CHECKING:
    from isthmus_client.store import FeedResult, IngestResult

PlatformOption = Annotated[Path, file("TOML that names the tables and what they mean.")]
WaitOption = Annotated[float, seconds("Seconds to wait for another ingest to end.")]
AcceptOption = Annotated[
    bool,
    switch("--accept-rejected", "Take a feed's good rows even if too many of its rows are bad."),
]
RebuildOption = Annotated[
    bool, switch("--rebuild", "Replace what is stored by what the feeds hold now.")
]
PassphraseOption = Annotated[
    Path | None, file("Its first line opens the platform's key, else $ISTHMUS_KEY_PASSPHRASE.")
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a table.")]


def ingest(
    *,
    platform: PlatformOption = CONTRACT,
    wait: WaitOption = 0.0,
    accept_rejected: AcceptOption = False,
    rebuild: RebuildOption = False,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take what is new in a platform's feeds into its store, encrypted and under pseudonyms.

    All of it or nothing: a refusal, a full disk or a killed process leaves the store as it was,
    and the same command again does it. What was taken in before is not taken twice. Rejected rows
    are listed by line and reason.

    Example: isthmus client ingest --platform shop/platform.toml
    """
    from isthmus_client.contract import load_contract  # noqa: PLC0415 - keeps `--help` fast
    from isthmus_client.forgetting import require_kept_away  # noqa: PLC0415 - as below
    from isthmus_client.store import Store  # noqa: PLC0415 - imports DuckDB
    from isthmus_client.store import ingest as run  # noqa: PLC0415
    from isthmus_client.vault import load_keys  # noqa: PLC0415

    home, contract = Home(platform), load_contract(platform)
    keyring = load_keys(home.keys, passphrase_file=passphrase_file)
    with Store.open(home.store, keyring, writable=True, wait=wait) as store:
        require_kept_away(home, store)
        result = run(
            contract,
            home.folder,
            store,
            progress_for(as_json=as_json),
            now=int(time.time()),
            accept_rejected=accept_rejected,
            rebuild=rebuild,
        )
    if as_json:
        print(json.dumps(result.as_json(), indent=2))
    else:
        _show(result)


def _show(result: IngestResult) -> None:
    console = Console(highlight=False)
    table = Table()
    headings = ("table", "feed", "rows", "new", "changed", "there already", "rejected")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place < 2 else "right")  # noqa: PLR2004
    for feed in result.feeds:
        table.add_row(*_cells(feed))
    console.print(table)
    for line in _words(result):
        console.print(Text(line), soft_wrap=True)  # a path is no markup


def _cells(feed: FeedResult) -> tuple[str | Text, ...]:
    counts = (feed.read, feed.added, feed.updated, feed.already, feed.rejections)
    shown = ("known", *[""] * 4) if feed.known else tuple(f"{n:,}" for n in counts)
    return (feed.table, Text(feed.feed), *shown)  # a file's name is no markup


def _words(result: IngestResult) -> list[str]:
    """What follows from the table, a line each."""
    holds = (
        f"The store holds {result.events:,} events of {result.users:,} users on "
        f"{result.items:,} items (generation {result.generation})"
    )
    lines = [holds if result.changed else f"Nothing is new. {holds}"]
    if result.expired:
        lines.append(f"Too old to be kept and removed: {result.expired:,} events")
    reasons: dict[str, int] = {}
    for feed in result.feeds:
        for reason, rows in (feed.rejected or {}).items():
            reasons[reason] = reasons.get(reason, 0) + rows
    if reasons:
        listed = ", ".join(f"{reason} {rows:,}" for reason, rows in reasons.items())
        lines.append(f"Rejected: {listed}")
        lines.append(f"Each by line and reason: {result.quarantine}")
    return lines
