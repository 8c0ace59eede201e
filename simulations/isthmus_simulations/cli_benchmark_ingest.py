"""`isthmus benchmark ingest`: how fast a platform's store takes events in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.table import Table

from isthmus.cli_options import count, file, switch, text
from isthmus.cli_options import seed as seed_option
from isthmus.console import progress_for, publish_json
from isthmus.errors import ScenarioError

if TYPE_CHECKING:
    from isthmus_simulations.benchmark_ingest import Speed

EventsOption = Annotated[str, text("Events of the generated feeds.", metavar="N,N,...")]
ThreadsOption = Annotated[str, text("Cores that a process may use.", metavar="N,N,...")]
RoundsOption = Annotated[int, count("Rounds of everything; the best one of each counts.")]
SeedOption = Annotated[int, seed_option("Draws the feeds.")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a table.")]
OutOption = Annotated[Path | None, file("Also write the JSON to this file.")]


def ingest(
    *,
    events: EventsOption = "1000000,10000000",
    threads: ThreadsOption = "1,2",
    rounds: RoundsOption = 2,
    seed: SeedOption = 7,
    as_json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Compare an ingest from Parquet with DuckDB's own scan and sort of the same file.

    An ingest reads, judges, pseudonymises, merges, seals and builds the sequences; the scan sorts
    the file's rows by user and time in memory. Each runs in a fresh process, in turn.

    Example: isthmus benchmark ingest --events 1000000 --threads 1
    """
    from isthmus_simulations.benchmark_ingest import compare_ingest  # noqa: PLC0415 - DuckDB

    found = compare_ingest(
        _numbers("--events", events),
        _numbers("--threads", threads),
        rounds=rounds,
        seed=seed,
        progress=progress_for(as_json=as_json),
    )
    publish_json({"speeds": [_plain(speed) for speed in found]}, out, as_json=as_json)
    if not as_json:
        _show(found)


def _numbers(option: str, given: str) -> list[int]:
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise ScenarioError(f"{option} is {given!r}", hint="give numbers, such as 1,2")
    return [int(part) for part in parts]


def _plain(speed: Speed) -> dict[str, Any]:
    """As plain values: every round, and what follows from the best ones."""
    return {
        **asdict(speed),
        "events_per_core_second": speed.events_per_core_second,
        "ratio": speed.ratio,
        "sequences_ratio": speed.sequences_ratio,
        "megabytes": speed.megabytes,
        "missed": speed.missed(),
    }


def _show(found: list[Speed]) -> None:
    from isthmus_simulations.benchmark_ingest import WORKS  # noqa: PLC0415 - above

    table = Table(title="An ingest beside DuckDB's scan and sort: CPU seconds, best round")
    headings = ("events", "cores", "scan", "ingest", "sequences", "open", "ratio")
    for heading in (*headings, "events/s", "peak MB"):
        table.add_column(heading, justify="right")
    for one in found:
        table.add_row(
            f"{one.events / 1e6:g} M",
            str(one.threads),
            *(f"{one.best(work).cpu_seconds:.2f}" for work in WORKS),
            f"{one.ratio:.2f}",
            f"{one.events_per_core_second / 1e6:.2f} M",
            f"{one.megabytes:,.0f}",
        )
    console = Console()
    console.print(table)
    for one in found:
        missed = ", ".join(one.missed())
        verdict = f"missed with {missed}" if missed else "met"
        console.print(f"Goals at {one.events:,} events and {one.threads} cores: {verdict}")
