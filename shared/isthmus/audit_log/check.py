"""Look over an audit log: the first line that is not as it was written, and what became of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from isthmus.audit_log.files import stored_lines
from isthmus.audit_log.lines import ROOT, parsed, signed_part
from isthmus.audit_log.log import Anchor
from isthmus.identity.keys import is_signed

ANCHOR: Final = "anchor"
"""Kind of a line that holds how far another log had come."""

JOINED: Final = "joined"
"""Kind of a line that says with which keys a platform joined."""

What = Literal["altered", "deleted", "reordered", "signature", "truncated"]


@dataclass(frozen=True)
class LogCheck:
    """What a look over a log found.

    Attributes:
        lines: whole lines in it.
        first_bad: number of the first line that is not as it was written, from 1; None = none.
        what: "altered": its text, or the log from there on was written anew; "deleted": the line
            that it names as the one before is gone or was replaced; "reordered": it stands in
            another place, or one too many stands before it; "signature": it has none, or another's;
            "truncated": it was there once, and the log ends before it. None = nothing is wrong.
        torn: bytes of an unfinished last line, left by a crash before it counted; 0 = none.
    """

    lines: int
    first_bad: int | None
    what: What | None
    torn: int


def verify_log(path: Path, public: bytes | None = None, anchors: Iterable[Anchor] = ()) -> LogCheck:
    """Look over the whole chain; a file that is not there has no lines.

    Args:
        path: of the log.
        public: Ed25519 key, 32 raw bytes, that signed every line; None = signatures do not count.
        anchors: what another side says of this log; without one, lines that were cut off the end
            do not show.

    Raises:
        IdentityError: `public` is no such key.
        OSError: the file cannot be read.
    """
    told: dict[int, set[str]] = defaultdict(set)
    for anchor in anchors:
        told[anchor.lines].add(anchor.hash)
    lines, torn, previous = 0, 0, ROOT
    first: tuple[int, What] | None = None
    for text in stored_lines(path):
        if not text.endswith(b"\n"):
            torn = len(text)
            break
        lines += 1
        if first is None:
            line = parsed(text[:-1])
            what = _wrong(line, lines, previous, public, told.get(lines, set()))
            if what == "deleted" and line is not None and _stands_in(path, line["previous"]):
                what = "reordered"
            first = (lines, what) if what else None
            previous = line["hash"] if line else ""
    if first is None and max(told, default=0) > lines:
        first = (lines + 1, "truncated")
    first_bad, broken = first or (None, None)
    return LogCheck(lines, first_bad, broken, torn)


def anchors_in(path: Path, owner: str) -> tuple[Anchor, ...]:
    """What a log says of the log of `owner`, in its order.

    Its lines are those of `anchor_line`; one that is not as it was written says nothing. Where
    `owner` joined anew, with other keys, it began another log: what is before does not count.

    Raises:
        OSError: the file cannot be read.
    """
    found: list[Anchor] = []
    for text in stored_lines(path):
        line = parsed(text[:-1]) or {}
        if line.get("kind") == JOINED and line.get("platform") == owner:
            found = []
        if anchor := _anchor(line, owner):
            found.append(anchor)
    return tuple(found)


def anchor_line(owner: str, anchor: Anchor) -> dict[str, Any]:
    """The body of a line that keeps how far another side's log had come.

    Args:
        owner: whose log it is.
        anchor: its `head()`, as the owner told it.
    """
    return {"kind": ANCHOR, "of": owner, "lines": anchor.lines, "head": anchor.hash}


def _anchor(line: Mapping[str, Any], owner: str) -> Anchor | None:
    """What a line says of the log of `owner`; None = nothing."""
    lines, head = line.get("lines"), line.get("head")
    if line.get("kind") != ANCHOR or line.get("of") != owner:
        return None
    return Anchor(lines, head) if type(lines) is int and isinstance(head, str) else None


def _wrong(
    line: Mapping[str, Any] | None,
    number: int,
    previous: str,
    public: bytes | None,
    told: AbstractSet[str],
) -> What | None:
    """What is wrong with a line of this number; a line out of its place counts as "deleted"."""
    if line is None:
        return "altered"
    if line.get("previous") != previous:
        return "deleted"
    if public is not None and not _signed(line, public):
        return "signature"
    if line.get("line", number) != number or told - {line["hash"]}:
        return "altered"
    return None


def _signed(line: Mapping[str, Any], public: bytes) -> bool:
    """Whether the holder of a key signed the line."""
    try:
        signature = bytes.fromhex(line["signature"])
    except (KeyError, TypeError, ValueError):
        return False
    return is_signed(public, signed_part(line), signature)


def whole_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """The lines that are as they were written, first to last; their order is not checked.

    A file that is not there has none.

    Raises:
        OSError: it cannot be read.
    """
    for text in stored_lines(path):
        if text.endswith(b"\n") and (line := parsed(text[:-1])) is not None:
            yield line


def _stands_in(path: Path, previous: object) -> bool:
    """Whether the line that another names as the one before stands anywhere in the file."""
    found = (parsed(text[:-1]) for text in stored_lines(path))
    return previous == ROOT or any(line and line["hash"] == previous for line in found)
