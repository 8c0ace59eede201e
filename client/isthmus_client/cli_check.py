"""`isthmus client check`: whether a platform's data is fit to train on."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isthmus.cli_options import file, folder, switch, text
from isthmus.console import progress_for, show_result
from isthmus.errors import FeedRefusedError, ScenarioError
from isthmus_client.home import CONTRACT, Home

if TYPE_CHECKING:
    from isthmus_client.readiness import Readiness

USABLE_WITH_WARNINGS = 15  # exit code

PlatformOption = Annotated[Path, file("TOML that names the tables and what they mean.")]
OutOption = Annotated[
    Path | None,
    folder(
        "Where readiness.json and readiness.html go.", default="reports/ beside the platform's file"
    ),
]
ServerTimeOption = Annotated[
    str | None,
    text(
        "The federation server's time now, ISO 8601 with a zone: compared with this clock.",
        default="not compared",
        metavar="TIME",
    ),
]
JsonOption = Annotated[bool, switch("--json", "Print readiness.json and nothing else.")]


def check(
    *,
    platform: PlatformOption = CONTRACT,
    out: OutOption = None,
    server_time: ServerTimeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read a platform's tables and say whether they are fit to train on. Nothing is stored.

    Returns 0 where they are ready, 15 where they can be used with warnings, 14 where they are
    refused; the report is printed and written in every case.

    Example: isthmus client check --platform shop/platform.toml
    """
    from isthmus_client.contract import load_contract  # noqa: PLC0415 - keeps `--help` fast
    from isthmus_client.readiness import check as run  # noqa: PLC0415 - imports DuckDB

    server = _moment(server_time)
    contract = load_contract(platform)
    progress = progress_for(as_json=as_json)
    report = run(contract, progress, now=datetime.now(UTC), server_time=server)
    page = _write(report, out or Home(platform).reports)
    if as_json:
        print(report.to_json(), end="")
    else:
        _show(report, page)
    _leave(report, page)


def _moment(given: str | None) -> datetime | None:
    """A time with a zone.

    Raises:
        ScenarioError: it is none, or names no zone.
    """
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ScenarioError(
            f"--server-time {given!r} is no time with a zone",
            hint="write it as 2024-03-31T18:05:00Z or 2024-03-31T20:05:00+02:00",
        )
    return moment


def _write(report: Readiness, out: Path) -> Path:
    """The page, then the JSON: its presence means that both are there. Returns the page's path.

    Raises:
        ScenarioError: the folder cannot be written.
    """
    from isthmus_client.readiness import write_page  # noqa: PLC0415 - keeps `--help` fast

    page = out / "readiness.html"
    try:
        write_page(report, page)
        report.save(out / "readiness.json")
    except OSError as error:
        raise ScenarioError(
            f"{out} cannot be written: {error.strerror}", hint="name another folder with --out"
        ) from error
    return page


def _show(report: Readiness, page: Path) -> None:
    """The report, and where its page is."""
    from isthmus_client.readiness import render  # noqa: PLC0415 - keeps `--help` fast

    show_result(render(report), page)


def _leave(report: Readiness, page: Path) -> None:
    """End with the verdict's code."""
    if report.verdict == "refused":
        errors = report.of("error")
        first = "; ".join(f"{found.table}: {found.what}" for found in errors[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""  # noqa: PLR2004
        raise FeedRefusedError(
            f"the platform's data is refused: {first}{more}", hint=f"{page} says what to do"
        )
    if report.verdict == "usable with warnings":
        raise typer.Exit(USABLE_WITH_WARNINGS)
