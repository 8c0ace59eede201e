"""Text files as blocks of whole lines, in bounded memory, each with the number of its first line.

Lines end as the file's first ones do: at line feeds (also behind a carriage return), or at
carriage returns alone.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

import pyarrow as pa

from isthmus.errors import DataInvalidError
from isthmus_client.feeds.encodings import canonical, check_head, splits_at_bytes
from isthmus_client.feeds.file_source import FileSource

HEAD: Final = 1 << 18  # bytes that are looked at to learn how a file is to be read
_CHUNK: Final = 1 << 21  # bytes that are read at a time
_LONGEST: Final = 1 << 24  # bytes of a line; beyond this it is not a file of lines


@dataclass(frozen=True)
class Block:
    """Whole lines.

    Attributes:
        data: in the encoding of the source; only the file's last line may have no end.
        first: the number of the first line, counted from 1.
        lines: how many there are.
    """

    data: bytes
    first: int
    lines: int


@dataclass(frozen=True)
class TextSource:
    """A text file and how it is read.

    Attributes:
        source: the file.
        stored: the encoding that it is in.
        newline: what ends a line.
        marked: whether it begins with a byte order mark.
        head: its first lines, as `encoding`; the last may be cut off.
    """

    source: FileSource
    stored: str
    newline: bytes
    marked: bool
    head: bytes

    @property
    def encoding(self) -> str:
        """Of the blocks: that of the file, or UTF-8 where its lines cannot be told apart."""
        return self.stored if splits_at_bytes(self.stored) else "utf-8"

    def blocks(self) -> Iterator[Block]:
        """All lines from the first.

        Raises:
            DataMissingError: the file is gone.
            DataInvalidError: it is damaged, changed meanwhile, or has a line of over 16 MiB.
        """
        line, kept = 1, b""
        with self.source.content() as handle:
            chunks = _chunks(handle, self.stored)
            while True:
                try:
                    chunk = next(chunks, None)
                except (OSError, pa.ArrowException, UnicodeError) as error:
                    raise self.source.unreadable(error, f" after line {line - 1}") from None
                if chunk is None:
                    break
                kept += chunk
                cut = kept.rfind(self.newline) + 1
                if cut:
                    count = kept.count(self.newline, 0, cut)
                    yield Block(kept[:cut], line, count)
                    line, kept = line + count, kept[cut:]
                elif len(kept) > _LONGEST:
                    raise _too_long(self.source.name, line)
            if kept:
                yield Block(kept, line, 1)


def open_text(source: FileSource, encoding: str) -> TextSource:
    """Look at a file's first bytes.

    Raises:
        DataMissingError: it cannot be opened.
        DataInvalidError: it is empty, no text, or of another encoding; or there is no such one.
    """
    stored = canonical(encoding)
    try:
        with source.content() as handle:
            raw = handle.read(HEAD)
        check_head(source.name, raw, stored)
        head = raw if splits_at_bytes(stored) else _decoder(stored).decode(raw).encode()
    except (OSError, pa.ArrowException, UnicodeError) as error:
        raise source.unreadable(error) from None
    marked = head.startswith(codecs.BOM_UTF8)
    head = head.removeprefix(codecs.BOM_UTF8)
    if not head.strip():
        raise DataInvalidError(f"{source.name} is empty", hint="it needs at least a header")
    newline = b"\r" if b"\r" in head and b"\n" not in head else b"\n"
    return TextSource(source, stored, newline, marked, head)


def _chunks(handle: IO[bytes], stored: str) -> Iterator[bytes]:
    """The content without a byte order mark; as UTF-8 where lines cannot be told apart before."""
    decoder = None if splits_at_bytes(stored) else _decoder(stored)
    first = True
    while True:
        chunk = handle.read(_CHUNK)
        ended = not chunk
        if decoder is not None:
            chunk = decoder.decode(chunk, final=ended).encode()
        yield chunk.removeprefix(codecs.BOM_UTF8) if first else chunk
        first = first and not chunk
        if ended:
            return


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(encoding)()


def _too_long(name: str, line: int) -> DataInvalidError:
    return DataInvalidError(
        f"{name} cannot be read: line {line} is longer than {_LONGEST >> 20} MiB",
        hint="check the format: each line is to be one row",
    )
