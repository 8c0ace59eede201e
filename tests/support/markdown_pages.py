"""The project's Markdown pages, and the commands in them.

A block marked `console` is a transcript: `$ command` lines, each followed by what it prints, if
the page shows that; `...` stands for anything. A block marked `console long` holds commands that
take minutes: they are parsed, not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@dataclass(frozen=True)
class Command:
    """One line that a reader may type."""

    page: str
    line: int
    text: str
    expected: str  # "" where the page shows nothing
    is_long: bool


def tokens(page: Path) -> list[Token]:
    """The page's Markdown tokens."""
    return MarkdownIt().enable("table").parse(page.read_text())


def commands(page: Path) -> Iterator[Command]:
    """Every command of a page, in order."""
    for token in tokens(page):
        if token.type == "fence" and token.info.split()[:1] == ["console"]:
            assert token.map is not None
            yield from _transcript(page, token.map[0] + 1, token)


def _transcript(page: Path, start: int, token: Token) -> Iterator[Command]:
    name, is_long = page.relative_to(ROOT).as_posix(), "long" in token.info.split()
    text, expected, line = "", "", start
    for number, row in enumerate(token.content.splitlines(), start=start + 1):
        if row.startswith("$ "):
            if text:
                yield Command(name, line, text, expected, is_long)
            text, expected, line = row[2:], "", number
        else:
            expected += row + "\n"
    if text:
        yield Command(name, line, text, expected, is_long)
