"""Show versions, cores, memory, data and what is missing on this computer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from isthmus.doctor import DATA_VARIABLE, Checkup, examine


def doctor(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show versions, cores, memory, data and what is missing on this computer.

    Example: isthmus doctor --json
    """
    checkup = examine(os.environ, Path.cwd())
    if as_json:
        print(json.dumps(asdict(checkup), indent=2, sort_keys=True))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _rows(checkup):
        table.add_row(name, value)
    Console(highlight=False).print(table)


def _rows(checkup: Checkup) -> Iterator[tuple[str, str]]:
    """Label and value of each line. Brackets are avoided: Rich would read them as markup."""
    yield "isthmus", checkup.isthmus
    yield "python", f"{checkup.python} on {checkup.system}"
    for name, version in checkup.libraries.items():
        yield name, version or "not installed"
    for extra, absent in checkup.extras.items():
        yield f"extra {extra}", f"lacks {', '.join(absent)}" if absent else "complete"
    yield "cores", str(checkup.cores)
    yield "memory", f"{checkup.memory_gib} GiB"
    yield "free disk", f"{checkup.free_disk_gib} GiB"
    for name, setting in checkup.threads.items():
        yield name, setting or "not set"
    yield "embedded data", "present" if checkup.embedded_data else "missing"
    yield "default text encoder", "present" if checkup.default_encoder else "missing"
    yield "data folder", checkup.data_folder or f"none; --data or {DATA_VARIABLE} names one"
    yield "GPU", ", ".join(checkup.gpus) or "none"
