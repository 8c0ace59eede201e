"""Every command that a reader may type does what the page says."""

import doctest
import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from markdown_pages import PAGES, ROOT, Command, commands, tokens

from isthmus.cli import LazyCommand, command

BIN = Path(sys.executable).parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
ALL = [each for page in PAGES for each in commands(page)]
SHORT = {
    name: [c for c in ALL if c.page == name and not c.is_long] for name in {c.page for c in ALL}
}


def test_readme_has_commands():
    assert len([each for each in ALL if each.page == "README.md"]) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_stand_in_blocks_that_are_checked(page):
    odd = {"bash", "sh", "shell", "zsh"}
    infos = [token.info.split()[:1] for token in tokens(page) if token.type == "fence"]
    assert [] not in infos, "say what the block is, for example `text`"
    assert not odd & {info[0] for info in infos}, "write `console`, so that its commands are run"


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(name for name, found in SHORT.items() if found))
def test_commands_run_and_print_what_the_page_shows(page, tmp_path):
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    for each in SHORT[page]:
        if each.text.startswith("make "):
            check_make(each)
        else:
            run(each, tmp_path)


def run(each: Command, folder: Path):
    path = f"{BIN}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", each.text],
        cwd=folder,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    where = f"{each.page}:{each.line}: $ {each.text}\n{done.stdout}"
    assert done.returncode == 0, where
    if each.expected:
        same = doctest.OutputChecker().check_output(each.expected, done.stdout, FLAGS)
        assert same, f"{where}expected:\n{each.expected}"


def check_make(each: Command):
    """That make knows the targets: running them would run these tests again."""
    words = shlex.split(each.text, comments=True)
    subprocess.run([*words, "--dry-run"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("each", [c for c in ALL if c.is_long], ids=lambda c: f"{c.page}:{c.line}")
def test_long_commands_are_good_command_lines(each):
    words = shlex.split(each.text, comments=True)
    if words[0] == "make":
        check_make(each)
        return
    assert words[0] == "isthmus", "only isthmus and make may take minutes"
    parse(command(), words[1:])


def parse(group: click.Group, arguments: list[str]):
    """Resolve commands and options without running anything."""
    name, *rest = arguments
    found = group.get_command(click.Context(group), name)
    assert found is not None, f"no command {name}"
    real = found.load() if isinstance(found, LazyCommand) else found
    if isinstance(real, click.Group):
        parse(real, rest)
    else:
        real.make_context(name, rest)
