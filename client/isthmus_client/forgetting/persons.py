"""Ids of the persons who are to be forgotten: from the command line, a file or standard input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

from isthmus.errors import DataInvalidError, DataMissingError

STANDARD_INPUT: Final = "-"


def read_ids(given: Sequence[str], file: Path | None, standard_input: BinaryIO) -> list[str]:
    """All ids, each once, in their order.

    Args:
        given: on the command line; "-" stands for standard input.
        file: one id a line, or None.
        standard_input: read where it is asked for; one id a line.

    Raises:
        DataMissingError: the file cannot be read, or there is no id at all.
        DataInvalidError: something is no UTF-8 text.

    Guarantees:
        An error names a line, never what stands in it.
    """
    found: list[str] = []
    for each in given:
        found += (
            _lines(standard_input.read(), "standard input") if each == STANDARD_INPUT else [each]
        )
    if file is not None:
        try:
            data = file.read_bytes()
        except OSError as error:
            raise DataMissingError(f"{file} cannot be read: {error.strerror}") from error
        found += _lines(data, str(file))
    ids = list(dict.fromkeys(each for each in found if each))
    if not ids:
        raise DataMissingError(
            "no user id was given", hint="USER, --from-file FILE, or - and a pipe"
        )
    return ids


def _lines(data: bytes, where: str) -> list[str]:
    """Lines as they are, blanks included: " 7" is another person than "7"."""
    found = [_text(line) for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n")]
    if None in found:
        line = found.index(None) + 1
        raise DataInvalidError(f"{where}, line {line}: this is no UTF-8 text")
    return [each for each in found if each]


def _text(line: bytes) -> str | None:
    """A line without its end; None where it is no text. Python's own error would quote it."""
    try:
        return line.removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        return None
