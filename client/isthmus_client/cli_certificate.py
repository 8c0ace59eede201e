"""`isthmus client certificate`: show a run's no-harm certificates, or measure them again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from isthmus.cli_options import switch, text
from isthmus.console import progress_for
from isthmus.errors import CertificateError

if TYPE_CHECKING:
    from isthmus_client.certificate_files import Verification

RunArgument = Annotated[Path, typer.Argument(help="Folder of a finished run.")]
PlatformOption = Annotated[
    str | None, text("One platform.", default="all of the run", metavar="NAME")
]
VerifyOption = Annotated[
    bool,
    switch("--verify", "Measure every figure again from the stored models and data, and compare."),
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a table.")]


def certificate(
    *,
    run: RunArgument,
    platform: PlatformOption = None,
    verify: VerifyOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what the no-harm gate decided for a platform, on what grounds, and check it.

    With --verify nothing is believed: the stored models rank the platform's validation users
    again, and the command fails where a figure comes out otherwise than written.

    Example: isthmus client certificate isthmus-runs/journey-7 --platform deli --verify
    """
    from isthmus_client.certificate_files import certified  # noqa: PLC0415 - imports PyTorch

    names = certified(run) if platform is None else (platform,)
    if verify:
        _verify(run, names, as_json=as_json)
    else:
        _show(run, names, as_json=as_json)


def _show(run: Path, names: tuple[str, ...], *, as_json: bool) -> None:
    """The certificates as they are written."""
    from isthmus_client.certificate_files import read_certificate  # noqa: PLC0415
    from isthmus_client.certificate_words import render  # noqa: PLC0415

    found = [read_certificate(run, name) for name in names]
    if as_json:
        values = [each.model_dump(mode="json") for each in found]
        print(json.dumps(values[0] if len(values) == 1 else values, indent=2))
        return
    console = Console(highlight=False)
    for each in found:
        console.print(render(each))
        console.print()


def _verify(run: Path, names: tuple[str, ...], *, as_json: bool) -> None:
    """Measure again; raise with every deviation where there is one."""
    from isthmus_client.certificate_files import verify  # noqa: PLC0415 - imports PyTorch

    found = []
    with progress_for(as_json=as_json).track("measuring again", len(names)) as advance:
        for name in names:
            found.append(verify(run, name))
            advance(1)
    if as_json:
        values = [_plain(each) for each in found]
        print(json.dumps(values[0] if len(values) == 1 else values, indent=2))
    else:
        for each in found:
            print(_sentence(each))
    wrong = [each for each in found if each.deviations]
    if wrong:
        raise CertificateError(
            "\n".join(_deviations(each) for each in wrong),
            hint="the data, a model or the certificate was changed after it was written",
        )


def _plain(found: Verification) -> dict[str, Any]:
    return {
        "platform": found.certificate.platform,
        "reproduced": not found.deviations,
        "same_code": found.same_code,
        "taken_from_stored_ranks": list(found.stored_ranks),
        "deviations": [asdict(each) for each in found.deviations],
    }


def _sentence(found: Verification) -> str:
    name = found.certificate.platform
    if found.deviations:
        return f"{name}: {len(found.deviations)} figures came out otherwise"
    code = "" if found.same_code else "; the code has changed since it was written"
    ranks = f"; from stored ranks: {', '.join(found.stored_ranks)}" if found.stored_ranks else ""
    return f"{name}: every figure came out as written{ranks}{code}"


def _deviations(found: Verification) -> str:
    lines = [f"  {e.field}: written {e.written}, found {e.found}" for e in found.deviations]
    return "\n".join([f"the certificate of {found.certificate.platform} does not hold:", *lines])
