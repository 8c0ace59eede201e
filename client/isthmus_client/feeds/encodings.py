"""Encodings of text files: which one is meant, and which one fits lines that are not in it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from typing import Final

from isthmus.errors import DataInvalidError

_WHOLE: Final = ("utf-16", "utf-32", "utf-7", "iso2022", "hz")  # 0x0A need not be a newline
_BOMS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGICS: Final = (
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"\x1f\x8b", "compressed by gzip: its name must end in .gz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: its name must end in .zst"),
)
_HIGH: Final = re.compile(rb"[\x80-\xff]+")


def canonical(encoding: str) -> str:
    """Python's name of an encoding; "utf-8" for "utf-8-sig", whose mark we look for ourselves.

    Raises:
        DataInvalidError: there is no such encoding of text.
    """
    try:
        name = codecs.lookup(encoding).name
        "a".encode(name)
    except (LookupError, ValueError):
        raise DataInvalidError(
            f"{encoding!r} is no encoding of text",
            hint='name one such as "utf-8", "cp1252", "gb18030", "big5" or "shift_jis"',
        ) from None
    return "utf-8" if name == "utf-8-sig" else name


def splits_at_bytes(encoding: str) -> bool:
    """Whether lines can be told apart before they are decoded."""
    return not encoding.startswith(_WHOLE) and "\r\n".encode(encoding) == b"\r\n"


def check_head(name: str, head: bytes, encoding: str) -> None:
    """That a file begins like text of the encoding.

    Args:
        name: of the file.
        head: its first bytes.
        encoding: its canonical name.

    Raises:
        DataInvalidError: it is something else; says what, and what to write into platform.toml.
    """
    for magic, what in _MAGICS:
        if head.startswith(magic):
            raise DataInvalidError(f"{name} is no text: it is {what}")
    if not splits_at_bytes(encoding):
        return
    for mark, other in _BOMS:
        if head.startswith(mark):
            raise DataInvalidError(
                f"{name} begins with the byte order mark of {other}, not {encoding}",
                hint=f'set encoding = "{other}"',
            )
    if b"\0" in head.partition(b"\n")[0]:
        raise DataInvalidError(
            f"{name}: the first line holds NUL bytes",
            hint='it is UTF-16 (set encoding = "utf-16-le" or "utf-16-be"), or no text at all',
        )


def other_encoding(lines: Sequence[bytes], encoding: str) -> str:
    """An encoding that reads all of these lines; "" = none that we know does.

    Of single bytes Windows' Western one is taken first, of pairs the Chinese one: a guess for a
    person, never a decision.

    Args:
        lines: that are not valid in `encoding`.
        encoding: its canonical name.
    """
    pairs = all(len(run) > 1 for line in lines for run in _HIGH.findall(line))
    candidates = ("utf-8", *(("gb18030", "cp1252") if pairs else ("cp1252", "gb18030")))
    return next((each for each in candidates if each != encoding and _reads(each, lines)), "")


def _reads(encoding: str, lines: Sequence[bytes]) -> bool:
    try:
        for line in lines:
            line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
