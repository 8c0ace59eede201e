"""What every feed of a file has: the file's name and its fingerprint."""

from __future__ import annotations

from functools import cached_property

from isthmus_client.feeds.file_source import FileSource


class FileFeed:
    """The part of a feed that is the same for all formats of files.

    Args:
        source: the file.
    """

    def __init__(self, source: FileSource) -> None:
        self._source = source

    @property
    def name(self) -> str:
        """The file's name."""
        return self._source.name

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the file, in hexadecimal; read when it is first asked for."""
        return self._source.fingerprint()
