"""Attack a run's own privacy claim and compare what it shows with what was promised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from isthmus.cli_options import switch
from isthmus.console import show_result

RunArgument = Annotated[Path, typer.Argument(help="Folder of a run that was audited.")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a table.")]


def privacy(*, run: RunArgument, as_json: JsonOption = False) -> None:
    """Show a lower bound of each platform's epsilon, from canary users, next to the claim.

    Writes the page `audit/privacy.html` into the run's folder. Returns 35 where a bound is above
    the claim, or the claimed schedule costs more than the claim says.

    Example: isthmus audit privacy isthmus-runs/trio-7
    """
    from isthmus_simulations.audit import page  # noqa: PLC0415 - imports SciPy
    from isthmus_simulations.audit.verdict import audit_run  # noqa: PLC0415 - the same

    found = audit_run(run)
    written = page.write_page(found, run)
    if as_json:
        print(json.dumps(page.as_json(found), indent=2))
    else:
        show_result(page.as_table(found), written)
    found.require_consistent()
