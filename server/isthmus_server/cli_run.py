"""`isthmus server run`: propose runs, look at them, and say what they shall do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from isthmus.cli_options import count, folder, seconds, switch
from isthmus_server.cli_run_start import start
from isthmus_server.server_home import DEFAULT, ServerHome

if TYPE_CHECKING:
    from isthmus_server.state import State, Wanted

HomeOption = Annotated[Path, folder("The server's folder, as `isthmus server init` made it.")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
WatchOption = Annotated[bool, switch("--watch", "Show it again until the run has ended.")]
EveryOption = Annotated[float, seconds("Between two looks of --watch.")]
RoundOption = Annotated[int, count("The round whose parameters shall be the last.", least=0)]

runs = typer.Typer(
    help="Propose runs, look at them, and say what they shall do.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@runs.callback()
def _root() -> None:
    """Propose runs, look at them, and say what they shall do."""


runs.command()(start)


@runs.command()
def status(
    *,
    run: RunArgument,
    home: HomeOption = DEFAULT,
    watch: WatchOption = False,
    every: EveryOption = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Show where a run stands and why, each platform, what was refused, alarms and privacy spent.

    With --watch it is shown again whenever something changed, until the run has ended; with --json
    too, as a line of JSON each time.

    Example: isthmus server run status run-1 --watch
    """
    from isthmus_server.run_status import (  # noqa: PLC0415 - the database
        disk_trouble,
        opened_state,
        run_view,
        server_is_up,
    )

    folder = ServerHome(home)
    with opened_state(folder) as state:

        def look() -> dict[str, Any]:
            trouble = disk_trouble(folder)
            now = datetime.now(UTC)
            return run_view(state, run, now, up=server_is_up(folder), trouble=trouble)

        if watch:
            _watch(look, every, as_json=as_json)
        else:
            _show(look(), as_json=as_json)


def _watch(look: Callable[[], dict[str, Any]], every: float, *, as_json: bool) -> None:
    """Show a run again whenever it changed."""
    from isthmus_server.run_status import ENDED  # noqa: PLC0415 - the database

    view, shown = look(), None
    clock = threading.Event()  # never set: an interruptible wait
    while True:
        if _lasting(view) != shown:
            _show(view, as_json=as_json, line=True)
            shown = _lasting(view)
        if view["status"] in ENDED:
            return
        clock.wait(max(every, 0.05))
        view = look()


def _lasting(view: dict[str, Any]) -> dict[str, Any]:
    """A view without what changes with every look."""
    fleeting = {"last_seen", "last_seen_s", "skew_s", "facts"}
    platforms = [
        {key: value for key, value in each.items() if key not in fleeting}
        for each in view["platforms"]
    ]
    return {**view, "platforms": platforms}


def _show(view: dict[str, Any], *, as_json: bool, line: bool = False) -> None:
    if as_json:
        print(json.dumps(view, indent=None if line else 2), flush=True)
        return
    from isthmus_server.run_words import status_words  # noqa: PLC0415 - rich's tables

    Console(highlight=False).print(status_words(view), crop=False)


@runs.command(name="list")
def list_runs(*, home: HomeOption = DEFAULT, as_json: JsonOption = False) -> None:
    """List all runs, the oldest first, and why each is as it is.

    Example: isthmus server run list --json
    """
    from isthmus_server.run_status import all_runs, opened_state  # noqa: PLC0415 - the database
    from isthmus_server.run_words import list_words  # noqa: PLC0415 - with it

    with opened_state(ServerHome(home)) as state:
        views = all_runs(state)
    if as_json:
        print(json.dumps(views, indent=2))
    else:
        Console(highlight=False).print(list_words(views))


@runs.command()
def pause(*, run: RunArgument, home: HomeOption = DEFAULT, as_json: JsonOption = False) -> None:
    """Pause a run after the round that is under way.

    Example: isthmus server run pause run-1
    """
    _want(ServerHome(home), run, "pause", as_json=as_json)


@runs.command()
def resume(*, run: RunArgument, home: HomeOption = DEFAULT, as_json: JsonOption = False) -> None:
    """Go on with a run that was paused, stopped or has failed, from its last committed round.

    Example: isthmus server run resume run-1
    """
    _want(ServerHome(home), run, "run", as_json=as_json)


@runs.command()
def stop(*, run: RunArgument, home: HomeOption = DEFAULT, as_json: JsonOption = False) -> None:
    """Stop a run after the round that is under way; what was committed stays.

    Example: isthmus server run stop run-1
    """
    _want(ServerHome(home), run, "stop", as_json=as_json)


@runs.command()
def rollback(
    *,
    run: RunArgument,
    round: RoundOption,  # noqa: A002 - the option's name
    home: HomeOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Go back to an earlier round's parameters; later rounds are forgotten, not their privacy.

    What platforms were charged for the later rounds stays charged.

    Example: isthmus server run rollback run-1 --round 3
    """
    from isthmus_server.run_status import opened_state  # noqa: PLC0415 - the database

    with opened_state(ServerHome(home)) as state:
        state.runs.rollback(run, round)
        text = f"the operator wants run {run} to go back to round {round}"
        state.events.add("warning", "run-rollback", text, run=run)
        _told(state, run, as_json=as_json)


def _want(home: ServerHome, name: str, what: Wanted, *, as_json: bool) -> None:
    """Note what the operator wants; the coordinator does it between two rounds."""
    from isthmus_server.run_status import opened_state  # noqa: PLC0415 - the database

    with opened_state(home) as state:
        state.runs.want(name, what)
        state.events.add("info", "run-wanted", f"the operator wants run {name} to {what}", run=name)
        _told(state, name, as_json=as_json)


def _told(state: State, name: str, *, as_json: bool) -> None:
    """How the run stands now that a wish was noted."""
    from isthmus.federation_contract import FederationContract  # noqa: PLC0415 - pydantic
    from isthmus_server.run_status import require_run, summary  # noqa: PLC0415 - the database

    row = require_run(state, name)
    view = summary(row, FederationContract.from_bytes(row.contract))
    if as_json:
        print(json.dumps(view, indent=2))
        return
    back = "" if row.rollback_to is None else f", back to round {row.rollback_to}"
    words = f"{name}: wanted is {row.wanted}{back}; it is {row.status}: {view['reason']}"
    Console(highlight=False).print(Text(words), soft_wrap=True)
