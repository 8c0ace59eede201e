"""A server and three platforms with the embedded data as real processes on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli_options import count, switch

app = typer.Typer(
    help="A server and three platforms with the embedded data as real processes on this machine.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

DirOption = Annotated[
    Path, typer.Option("--dir", metavar="DIR", help="Where all is that the demo writes.")
]
RoundsOption = Annotated[int, count("Rounds of the run.")]
KeepOption = Annotated[bool, switch("--keep-files", "End the processes, but keep the folder.")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]
DEFAULT = Path("isthmus-demo")


@app.callback()
def _root() -> None:
    """A server and three platforms with the embedded data as real processes on this machine."""


@app.command()
def up(
    *,
    folder: DirOption = DEFAULT,
    rounds: RoundsOption = 12,
    as_json: JsonOption = False,
) -> None:
    """Start a federation on loopback and wait for its first finished round.

    The processes are those of a real deployment, with TLS, node authentication and secure
    aggregation; they run on until `isthmus demo down`.

    Example: isthmus demo up
    """
    from isthmus.console import progress_for  # noqa: PLC0415 - keeps `--help` fast
    from isthmus_simulations.demo.federation import bring_up  # noqa: PLC0415 - the same

    found = bring_up(folder, rounds=rounds, progress=progress_for(as_json=as_json))
    told = {
        "folder": str(folder.resolve()),
        "run": found.demo.run,
        "platforms": list(found.demo.platforms),
        "seconds": round(found.seconds, 1),
        "status": found.status,
    }
    if as_json:
        print(json.dumps(told, indent=2))
        return
    first = f"{folder}/platforms/{found.demo.platforms[0]}/platform.toml"
    typer.echo(
        f"The first round of {found.demo.run} was finished after {found.seconds:.0f} s; "
        f"the federation runs on in {folder.resolve()}\n"
        f"  isthmus server run status {found.demo.run} --home {folder}/server --watch\n"
        f"  isthmus client outbox list --platform {first}\n"
        f"  isthmus demo down"
    )


@app.command()
def down(
    *,
    folder: DirOption = DEFAULT,
    keep_files: KeepOption = False,
    as_json: JsonOption = False,
) -> None:
    """End the demo's processes and remove all that it wrote.

    Example: isthmus demo down
    """
    from isthmus_simulations.demo.processes import Demo  # noqa: PLC0415 - keeps `--help` fast

    demo = Demo.load(folder)
    demo.stop()
    if not keep_files:
        demo.remove()
    told = {"folder": str(folder.resolve()), "ended": [*demo.processes], "removed": not keep_files}
    typer.echo(json.dumps(told, indent=2) if as_json else f"ended {', '.join(demo.processes)}")
