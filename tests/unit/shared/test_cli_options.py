"""Options that several commands share are declared alike, bounded and shown."""

from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from isthmus.cli_options import CORES, MAX_SEED, count, file, folder, names, seed, switch, workers


def command(
    *,
    users: Annotated[int, count("Users.", least=0, panel="Your data")] = 3,
    start: Annotated[int, seed()] = 7,
    at_once: Annotated[int, workers("Cells at work.")] = CORES,
    out: Annotated[Path, folder("Where it goes.", default="a new one")] = Path("out"),
    table: Annotated[Path | None, file("The table.")] = None,
    platforms: Annotated[str, names("Platforms.")] = "a,b",
    quick: Annotated[bool, switch("--quick", "Small.")] = False,
) -> None:
    """Print what came in."""
    typer.echo(f"{users} {start} {at_once} {out} {table} {platforms} {quick}")


@pytest.fixture(name="run")
def _run():
    app = typer.Typer(rich_markup_mode="markdown")
    app.command()(command)
    return lambda *words: CliRunner().invoke(app, words, env={"COLUMNS": "100"})


def test_values_arrive(run):
    words = "--users 0 --start 9 --at-once 2 --out x --table y.csv --platforms c --quick"
    assert run(*words.split()).stdout == "0 9 2 x y.csv c True\n"
    assert run().stdout == f"3 7 {CORES} out None a,b False\n"


@pytest.mark.parametrize(
    "words",
    [
        ("--users", "-1"),
        ("--start", "-1"),
        ("--start", str(MAX_SEED + 1)),
        ("--at-once", "0"),
        ("--no-quick",),
    ],
)
def test_what_is_out_of_range_is_refused(run, words):
    found = run(*words)
    assert found.exit_code == 2
    assert words[0] in found.stderr


def test_help_names_kinds_panels_and_defaults(run):
    shown = run("--help").stdout
    for words in ("DIR", "FILE", "NAME,...", "Your data", "one per core", "a new one", "same seed"):
        assert words in shown
