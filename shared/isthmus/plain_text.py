"""Text of others made fit for a terminal, a log and a table.

What a stranger writes may hold escape sequences that recolour, move or erase what stands around it,
line breaks that look like another entry, and signs that turn the direction of reading.
"""

from __future__ import annotations

_REPLACED = "\N{REPLACEMENT CHARACTER}"


def plain(text: str, most: int | None = None, *, lines: bool = False) -> str:
    """The text with each sign that is not to be seen replaced by U+FFFD.

    Args:
        text: of anybody.
        most: characters that are kept; None = all.
        lines: whether line breaks and tabs are kept.
    """
    kept = "\n\t" if lines else ""
    short = text if most is None else text[:most]
    return "".join(each if each in kept or is_plain(each) else _REPLACED for each in short)


def is_plain(text: str) -> bool:
    """Whether every sign can be seen, or is a space, and so says only what it shows."""
    return text.isprintable()
