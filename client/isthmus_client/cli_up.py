"""`isthmus client up`: a platform's part in its federation, in the foreground."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from isthmus.cli_options import file, seconds, switch, text
from isthmus.errors import ScenarioError
from isthmus_client.home import CONTRACT, Home

if TYPE_CHECKING:
    from isthmus_client.up import NodeKind, PlatformProcesses

PlatformOption = Annotated[Path, file("The platform's contract, beside which all is kept.")]
PolicyOption = Annotated[
    Path | None,
    file("Approve runs unattended where this policy allows them; else a person approves each."),
]
NodeOption = Annotated[
    str,
    text(
        "What carries the messages: `isthmus`, or Flower's `stock` loop, which starts a process "
        "for each.",
        metavar="KIND",
    ),
]
IdleOption = Annotated[
    float,
    seconds("Without a byte moving, after which a request is given up and tried again."),
]
PassphraseOption = Annotated[
    Path | None, file("Its first line opens the platform's key, else $ISTHMUS_KEY_PASSPHRASE.")
]
JsonOption = Annotated[bool, switch("--json", "Print each change of state as a line of JSON.")]


def up(
    *,
    platform: PlatformOption = CONTRACT,
    auto_approve: PolicyOption = None,
    node: NodeOption = "isthmus",
    idle: IdleOption = 60.0,
    passphrase_file: PassphraseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take part in the federation, in the foreground, until SIGTERM or Ctrl-C.

    Starts the node, which speaks with the server, and the worker, which holds data and models, and
    starts each again when it ends. Nothing is computed for a run that was not approved here:
    `isthmus client approve-run`. Logs are JSON lines in `federation/logs/`.

    Example: isthmus client up --platform shop/platform.toml
    """
    from isthmus.logs import log_as_json  # noqa: PLC0415 - a second that `--help` needs not
    from isthmus.supervision import stop_on_signals  # noqa: PLC0415
    from isthmus_client.up import MODULES, PlatformProcesses  # noqa: PLC0415
    from isthmus_client.vault import load_keys, read_passphrase  # noqa: PLC0415

    if node not in ("isthmus", "stock"):
        raise ScenarioError(f"--node {node}: there is `isthmus` and `stock`")
    if not idle:
        raise ScenarioError("--idle 0: a request needs some time", hint="60 is the default")
    assert node in MODULES
    home, passphrase = Home(platform), read_passphrase(passphrase_file)
    load_keys(home.keys, passphrase_file=passphrase_file)  # fails here, in words, not in a log
    log_as_json("client")
    kind = cast("NodeKind", node)
    processes = PlatformProcesses(
        home, node=kind, passphrase=passphrase, policy=auto_approve, idle_s=idle
    )
    stop = threading.Event()
    stop_on_signals(stop)
    with processes.running():
        _say("starting", as_json=as_json)
        _tell_changes(processes, stop, as_json=as_json)
        _say("stopping", as_json=as_json)
    _say("stopped", as_json=as_json)


def _tell_changes(processes: PlatformProcesses, stop: threading.Event, *, as_json: bool) -> None:
    """Say whenever the processes become ready, or cease to be, until told to stop."""
    told: tuple[str, ...] | None = None
    while not stop.wait(0.2):
        reasons = tuple(processes.look()["reasons"])
        if reasons != told:
            _say("not ready" if reasons else "ready", as_json=as_json, reasons=reasons)
        told = reasons


def _say(state: str, *, as_json: bool, reasons: tuple[str, ...] = ()) -> None:
    if as_json:
        print(json.dumps({"state": state, "reasons": reasons}), flush=True)
        return
    typer.echo(f"client {state}" + "".join(f"\n  {reason}" for reason in reasons))
