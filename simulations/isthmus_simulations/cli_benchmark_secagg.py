"""`isthmus benchmark secagg`: what secure aggregation costs a platform and the server."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.table import Table

from isthmus.cli_options import count, file, switch, text
from isthmus.console import progress_for, publish_json
from isthmus.errors import ScenarioError
from isthmus.secagg.wire import MAX_PLATFORMS

if TYPE_CHECKING:
    from isthmus_simulations.benchmark_secagg import Cost

LEAST = 3  # platforms of a sum
MOST = 13_107_200  # parameters whose vector fits into a message

ParametersOption = Annotated[str, text("Numbers in a vector.", metavar="N,N,...")]
CohortsOption = Annotated[str, text("Numbers of platforms.", metavar="N,N,...")]
DropOutsOption = Annotated[
    int, count("Platforms that vanish after their shares, so that masks are recovered.", least=0)
]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of a table.")]
OutOption = Annotated[Path | None, file("Also write the JSON to this file.")]


def secagg(
    *,
    parameters: ParametersOption = "100000,1000000,10000000",
    cohorts: CohortsOption = "3,10,50",
    drop_outs: DropOutsOption = 0,
    as_json: JsonOption = False,
    out: OutOption = None,
) -> None:
    """Measure the CPU seconds and bytes of rounds of secure aggregation, next to the plain sum.

    Whole rounds in memory, all five phases, numbers modulo 2^64; each sum is compared with the
    plain one, number by number. CPU seconds are of one thread, without training and network.

    Example: isthmus benchmark secagg --parameters 1000000 --cohorts 3,10
    """
    from isthmus_simulations.benchmark_secagg import compare  # noqa: PLC0415 - keeps --help fast

    sizes = _numbers("--parameters", parameters, 1, MOST)
    platforms = _numbers("--cohorts", cohorts, LEAST, MAX_PLATFORMS)
    _require_drop_outs(drop_outs, min(platforms))
    progress = progress_for(as_json=as_json)
    found = compare(sizes, platforms, dropped=drop_outs, progress=progress)
    publish_json({"rounds": [_plain(cost) for cost in found]}, out, as_json=as_json)
    if not as_json:
        _show(found)


def _numbers(option: str, given: str, low: int, high: int) -> list[int]:
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isdecimal() and low <= int(part) <= high for part in parts):
        raise ScenarioError(
            f"{option} is {given!r}", hint=f"give numbers from {low} to {high}, commas between"
        )
    return [int(part) for part in parts]


def _require_drop_outs(drop_outs: int, platforms: int) -> None:
    from isthmus.secagg import default_threshold  # noqa: PLC0415 - above

    most = platforms - max(default_threshold(platforms), 2)
    if drop_outs > most:
        raise ScenarioError(
            f"--drop-outs is {drop_outs}, but of {platforms} platforms {most} may drop out",
            hint="name fewer, or larger --cohorts",
        )


def _plain(cost: Cost) -> dict[str, Any]:
    return {
        **asdict(cost),
        "platform_mean": cost.platform_mean,
        "server_ratio": cost.server_ratio,
        "bytes_ratio": cost.bytes_ratio,
    }


def _show(found: list[Cost]) -> None:
    from isthmus_simulations.benchmark_secagg import GOAL, GOAL_AT  # noqa: PLC0415 - above

    table = Table(title="A round of secure aggregation, CPU seconds of one thread")
    headings = ("parameters", "platforms", "platform\nCPU s", "server\nCPU s", "plain\nsum s")
    for heading in (*headings, "up\nMB", "over\nplain", "down\nkB"):
        table.add_column(heading, justify="right")
    for cost in found:
        table.add_row(
            f"{cost.parameters:,}",
            str(cost.platforms),
            f"{cost.platform_mean:.3f}",
            f"{cost.server_seconds:.3f}",
            f"{cost.plain_seconds:.4f}",
            f"{cost.up_bytes / 1e6:.2f}",
            f"{cost.bytes_ratio:.4f}",
            f"{cost.down_bytes / 1e3:.1f}",
        )
    console = Console()
    console.print(table)
    for cost in found:
        if (cost.parameters, cost.platforms) == GOAL_AT:
            verdict = "met" if cost.platform_mean <= GOAL else "missed"
            console.print(
                f"Goal {verdict}: at most {GOAL} CPU seconds of a platform at "
                f"{GOAL_AT[0]:,} parameters and {GOAL_AT[1]} platforms"
            )
