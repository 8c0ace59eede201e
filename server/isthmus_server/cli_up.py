"""`isthmus server up`: the server, in the foreground."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli_options import folder, switch
from isthmus_server.server_home import DEFAULT, ServerHome

if TYPE_CHECKING:
    from isthmus_server.up import Server

HomeOption = Annotated[Path, folder("The server's folder, as `isthmus server init` made it.")]
JsonOption = Annotated[bool, switch("--json", "Print each change of state as a line of JSON.")]


def up(*, home: HomeOption = DEFAULT, as_json: JsonOption = False) -> None:
    """Run the server in the foreground, until SIGTERM or Ctrl-C.

    Starts the SuperLink, the control service and the coordinator, and starts each again when it
    ends. Says when all are ready; `/healthz` and `/readyz` on the health port say so too. Logs are
    JSON lines in `logs/`.

    Example: isthmus server up --home isthmus-server
    """
    from isthmus.logs import log_as_json  # noqa: PLC0415 - a second that `--help` needs not
    from isthmus.supervision import stop_on_signals  # noqa: PLC0415
    from isthmus_server.up import Server  # noqa: PLC0415

    log_as_json("server")
    server = Server(ServerHome(home))
    stop = threading.Event()
    stop_on_signals(stop)
    with server.running():
        _say("starting", as_json=as_json)
        teller = threading.Thread(target=_tell_ready, args=(server, stop, as_json), daemon=True)
        teller.start()
        server.wait(stop)
        _say("stopping", as_json=as_json)
    _say("stopped", as_json=as_json)


def _tell_ready(server: Server, stop: threading.Event, as_json: bool) -> None:
    """Say whenever the server becomes ready, or ceases to be."""
    ready = False
    while not stop.wait(0.2 if not ready else 2.0):
        found = server.look()
        if found["ready"] and not ready:
            _say("ready", as_json=as_json, ports=found["ports"])
        if ready and not found["ready"]:
            _say("not ready", as_json=as_json, reasons=found["reasons"])
        ready = found["ready"]


def _say(state: str, *, as_json: bool, **more: object) -> None:
    if as_json:
        print(json.dumps({"state": state, **more}), flush=True)
        return
    told = "".join(f"\n  {name}: {value}" for name, value in more.items())
    typer.echo(f"server {state}{told}")
