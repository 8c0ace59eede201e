"""What is learned of a text file while it is read, told to a person afterwards."""

from __future__ import annotations

from typing import Final

from isthmus_client.feeds.encodings import other_encoding
from isthmus_client.feeds.feed import Malformed, OnMalformed
from isthmus_client.feeds.text_source import TextSource

_KEPT: Final = 100  # lines of another encoding that are looked at together


class TextNotes:
    """Tells malformed lines on, counts those of another encoding, and blank ones.

    Args:
        encoding: of the lines.
        on_malformed: is told of each malformed line.
    """

    def __init__(self, encoding: str, on_malformed: OnMalformed) -> None:
        self._encoding = encoding
        self._on_malformed = on_malformed
        self._foreign: list[bytes] = []
        self._foreign_count = 0
        self.blank = 0
        self.beyond_ascii = False

    def malformed(self, line: int, reason: str, detail: str) -> None:
        """A line that could not be taken apart."""
        self._on_malformed(Malformed(line, reason, detail))

    def well_encoded(self, line: int, text: str) -> bool:
        """Whether a row can be used; if not, it has been told on.

        Args:
            line: of the row.
            text: all its values together, decoded with "surrogateescape".
        """
        if "\0" in text:
            self.malformed(line, "nul", "a NUL byte")
            return False
        if text.isascii():
            return True
        try:
            text.encode()
        except UnicodeEncodeError:
            self._count(text)
            self.malformed(line, "encoding", f"bytes that are not {self._encoding}")
            return False
        self.beyond_ascii = True
        return True

    def _count(self, text: str) -> None:
        self._foreign_count += 1
        if len(self._foreign) < _KEPT:
            self._foreign.append(text.encode(self._encoding, "surrogateescape"))

    def told(self) -> tuple[tuple[str, str], ...]:
        """("encoding", "...") and ("blank_lines", "..."), where there is something to say."""
        notes = []
        if self._foreign_count:
            notes.append(("encoding", self._told_encoding()))
        if self.blank:
            notes.append(("blank_lines", f"{self.blank} blank lines are no rows"))
        return tuple(notes)

    def _told_encoding(self) -> str:
        said = f"{self._foreign_count} lines are not {self._encoding}"
        other = other_encoding(self._foreign, self._encoding)
        if not other:
            return f"{said}, nor all of one encoding that we know"
        if self.beyond_ascii:
            return f"{said} but could be {other}; others are {self._encoding}: they are mixed"
        return f'{said} but could be {other}, as all of the file: set encoding = "{other}"'


def opening_notes(text: TextSource) -> tuple[tuple[str, str], ...]:
    """What a file's first bytes tell."""
    notes = []
    if text.marked and text.stored == "utf-8":
        notes.append(("bom", "begins with a byte order mark, which was left out"))
    if text.newline == b"\r":
        notes.append(("newlines", "lines end with carriage returns alone"))
    return tuple(notes)
