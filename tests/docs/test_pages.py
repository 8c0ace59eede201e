"""What the pages state is so."""

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import get_args

import click
import pytest
from markdown_pages import PAGES, ROOT, tokens
from pydantic import BaseModel

from isthmus import __version__, errors
from isthmus.cli import LazyCommand, command
from isthmus.errors import IsthmusError
from isthmus_simulations.scenarios import Scenario, builtin_scenarios

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_resolve(page):
    for pair in LINK.findall(FENCE.sub("", page.read_text())):
        target, _, anchor = (pair[0] or pair[1]).partition("#")
        if target.startswith(("http:", "https:")):
            continue
        file = page.parent / target if target else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}#{anchor}"


def anchors(page: Path):
    """Headings as GitHub names them."""
    parsed = tokens(page)
    titles = [
        parsed[i + 1].content for i, token in enumerate(parsed) if token.type == "heading_open"
    ]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_file_tree_is_true():
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "tree.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_exit_code_is_documented():
    page = (ROOT / "docs" / "exit-codes.md").read_text()
    documented = {
        int(code): name
        for code, name in re.findall(r"^\| (\d+) \| `?(\w+)`? \|", page, re.MULTILINE)
    }
    ours = {
        error.exit_code: error.__name__
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, IsthmusError) and error is not IsthmusError
    }
    assert {code: name for code, name in documented.items() if 3 <= code < 130} == ours
    assert {0, 1, 2, 130} <= set(documented)


def test_the_changelog_knows_this_version():
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def keys_of(model):
    """The keys of a scenario file that a model and the models in it read."""
    for name, field in model.model_fields.items():
        yield name
        for inner in models_in(field.annotation):
            yield from keys_of(inner)


def models_in(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def test_every_key_of_a_scenario_is_documented_and_no_other():
    page = (ROOT / "docs" / "scenarios.md").read_text().partition("\n## Keys\n")[2]
    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    sections = set(re.findall(r"^### `\[+(\w+)\]+`", page, re.MULTILINE))
    assert documented | sections == set(keys_of(Scenario))


def test_every_built_in_scenario_is_documented():
    page = (ROOT / "docs" / "scenarios.md").read_text()
    listed = page.partition("## Built-in scenarios")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", listed, re.MULTILINE)) == set(builtin_scenarios())
    named = next(p.help for p in COMMANDS["isthmus simulate"].params if p.name == "scenario")
    readme = (ROOT / "README.md").read_text().partition("\n## Scenarios\n")[2]
    for name in builtin_scenarios():
        assert name in named
        assert f"`{name}`" in readme


def leaves(group: click.Group, path: str = "isthmus"):
    """Every command that does something, with the words that call it."""
    for name in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), name)
        real = found.load() if isinstance(found, LazyCommand) else found
        if isinstance(real, click.Group):
            yield from leaves(real, f"{path} {name}")
        else:
            yield f"{path} {name}", real


COMMANDS = dict(leaves(command()))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_documented_and_no_other(name):
    page = (ROOT / "docs" / "cli.md").read_text()
    assert f"\n## {name}\n" in page
    section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(--[a-z-]+|[A-Z]+)", section, re.MULTILINE))
    real = {option for parameter in COMMANDS[name].params for option in words(parameter)}
    assert documented == real - {"--help"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_has_a_row_for_every_command(name):
    section = (ROOT / "README.md").read_text().partition("\n## Commands\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    named = [set(" ".join(re.findall(r"`([^`]+)`", row)).split()) for row in rows]
    assert any(set(name.split()[1:3]) <= row for row in named)


def words(parameter: click.Parameter):
    """An option's long names, or an argument's name in capitals."""
    if isinstance(parameter, click.Option):
        return [option for option in parameter.opts if option.startswith("--")]
    return [str(parameter.name).upper()]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name):
    assert "Example: isthmus " in COMMANDS[name].help


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_each_option_and_argument_means(name):
    wordless = [p.name for p in COMMANDS[name].params if not getattr(p, "help", None)]
    assert not wordless


DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_options_and_a_reason(page):
    text = page.read_text()
    number = page.name[:4]
    assert text.startswith(f"# {int(number)}. ")
    for heading in ("## Context", "## Options", "## Decision", "## Consequences"):
        assert f"\n{heading}\n" in text
    assert re.search(r"^Status: (accepted|superseded by \[\d+)", text, re.MULTILINE)


def test_decisions_are_numbered_without_a_gap():
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_readme_shows_the_example_as_it_is():
    (shown,) = [token for token in tokens(ROOT / "README.md") if token.info == "toml"]
    file = ROOT / "docs" / "examples" / "two-shops" / "two-shops.toml"
    assert shown.content == file.read_text()


def test_the_example_data_is_what_its_script_writes(tmp_path):
    folder = ROOT / "docs" / "examples" / "two-shops"
    runpy.run_path(str(folder / "generate.py"))["main"](tmp_path)
    written = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert len(written) == 4
    assert written == {file.name: file.read_bytes() for file in folder.glob("*.csv")}
