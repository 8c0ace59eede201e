"""The command `isthmus`, mostly as transcripts: what is typed, what comes back."""

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from isthmus import __version__
from isthmus.cli import run
from isthmus.errors import IsthmusError

PLUGIN = '''
"""Does what the test says.

A second paragraph that no list shows.
"""
from typing import Annotated
import typer
from isthmus.errors import DataInvalidError

app = typer.Typer()


@app.command()
def alone(*, as_json: bool = typer.Option(False, "--json")) -> None:
    """The only command of a group."""
    print("alone in its group")

What = Annotated[str, typer.Argument(help="Which fault to have.")]


def task(what: What, *, as_json: bool = typer.Option(False, "--json")) -> None:
    """Do it."""
    if what == "data":
        raise DataInvalidError("row 17 of [events] has no user", hint="see row 17")
    if what == "fault":
        raise ZeroDivisionError("nobody thought of this")
    if what == "stop":
        raise KeyboardInterrupt
    print(f"did {what}")
'''


@pytest.fixture(name="entries")
def _entries(tmp_path, monkeypatch):
    """A real module on the path, and entry points that name it."""
    (tmp_path / "isthmus_cli_plugin.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "isthmus_cli_plugin", raising=False)
    return [
        EntryPoint("task", "isthmus_cli_plugin:task", "isthmus.commands"),
        EntryPoint("group", "isthmus_cli_plugin:app", "isthmus.commands"),
    ]


def test_help_says_what_an_argument_means(entries, capsys):
    assert run(["task", "--help"], entries) == 0
    assert "Which fault to have." in capsys.readouterr().out


def test_help_lists_every_command_and_imports_none(entries, capsys):
    assert run(["--help"], entries) == 0
    shown = capsys.readouterr().out
    assert shown.count("Does what the test says.") == 2
    assert "second paragraph" not in shown
    assert "doctor" in shown
    assert "isthmus_cli_plugin" not in sys.modules


def test_a_function_and_a_group_with_one_command(entries, capsys):
    assert run(["task", "this"], entries) == 0
    assert run(["group", "alone"], entries) == 0
    assert capsys.readouterr().out == "did this\nalone in its group\n"


def test_an_error_is_a_message_and_a_code(entries, capsys, monkeypatch):
    monkeypatch.delenv("ISTHMUS_DEBUG", raising=False)
    assert run(["task", "data"], entries) == 12
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: row 17 of [events] has no user\n hint: see row 17\n"


def test_an_error_for_a_program(entries, capsys):
    assert run(["task", "data", "--json"], entries) == 12
    assert json.loads(capsys.readouterr().err)["message"] == "row 17 of [events] has no user"


def test_debug_shows_where_an_error_came_from(entries, capsys, monkeypatch):
    monkeypatch.setenv("ISTHMUS_DEBUG", "1")
    assert run(["task", "data"], entries) == 12
    assert "isthmus_cli_plugin.py" in capsys.readouterr().err


def test_an_unforeseen_fault_asks_for_a_report(entries, capsys):
    assert run(["task", "fault"], entries) == 1
    err = capsys.readouterr().err
    assert "isthmus_cli_plugin.py" in err
    assert "error: nobody thought of this" in err
    assert "please report it" in err
    assert run(["task", "fault", "--json"], entries) == 1
    assert "isthmus_cli_plugin.py" in json.loads(capsys.readouterr().err)["traceback"]


def test_an_interruption_says_how_to_go_on(entries, capsys):
    assert run(["task", "stop"], entries) == 130
    assert "--resume" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["taks"], ["task"], ["task", "x", "--odd"], []])
def test_a_wrong_command_line_is_code_2(arguments, entries, capsys):
    assert run(arguments, entries) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_wrong_command_line_for_a_program(entries, capsys):
    assert run(["task", "--odd", "--json"], entries) == 2
    assert "--odd" in json.loads(capsys.readouterr().err)["message"]


def test_two_packages_with_the_same_command_are_refused(entries):
    twin = EntryPoint("task", "isthmus_cli_plugin:app", "isthmus.commands")
    assert run(["--help"], [*entries, twin]) == IsthmusError.exit_code
    doctor = EntryPoint("doctor", "isthmus_cli_plugin:task", "isthmus.commands")
    assert run(["--help"], [doctor]) == IsthmusError.exit_code


@pytest.fixture(name="bare")
def _bare(tmp_path, monkeypatch):
    """Metadata of an installation whose extra `simulation` lacks two packages."""
    folder = tmp_path / "isthmus-0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: isthmus\nVersion: 0\n"
        "Requires-Dist: typer\n"
        'Requires-Dist: absent-one>=3; extra == "client"\n'
        'Requires-Dist: numpy; extra == "client"\n'
        'Requires-Dist: isthmus[client]; extra == "simulation"\n'
        'Requires-Dist: absent-two; extra == "simulation"\n'
        'Requires-Dist: absent-three; extra == "dev"\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    return [EntryPoint("simulate", "isthmus_simulations.cli:simulate", "isthmus.commands")]


def test_a_command_without_its_extra_says_what_to_install(bare, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["--help"], bare) == 0
    assert "needs isthmus[simulation]" in capsys.readouterr().out
    assert run(["simulate"], bare) == 40
    assert capsys.readouterr().err == (
        "error: `isthmus simulate` needs absent-one, absent-two, which is not installed\n"
        " hint: pip install 'isthmus[simulation]'\n"
    )


def isthmus(*arguments, **environment):
    program = Path(sys.executable).with_name("isthmus")
    rest = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return subprocess.run(
        [program, *arguments],
        env={**rest, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_installed_command():
    assert isthmus("--version").stdout == f"isthmus {__version__}\n"
    checkup = json.loads(isthmus("doctor", "--json").stdout)
    assert checkup["isthmus"] == __version__
    assert checkup["cores"] >= 1
    assert isthmus("doctor").stdout.startswith("isthmus")


def test_a_process_has_one_thread_unless_the_user_says_otherwise():
    for environment, threads in (({}, "1"), ({"OMP_NUM_THREADS": "3"}, "3")):
        checkup = json.loads(isthmus("doctor", "--json", **environment).stdout)
        assert checkup["threads"]["OMP_NUM_THREADS"] == threads


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from isthmus.cli import run; run(['--help']); run(['simulate', '--help']);"
        "print(sorted({'torch', 'flwr', 'ray', 'duckdb', 'transformers'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert shown.splitlines()[-1] == "[]"
