"""The password of a database: from a file that only its owner can read, or the environment.

Guarantees:
    - A password is in no message, and in no value that prints itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from isthmus.errors import DataInvalidError, DataMissingError

VARIABLE: Final = "ISTHMUS_SOURCE_PASSWORD"


@dataclass(frozen=True)
class Password:
    """A password that does not print itself.

    Attributes:
        value: None = none was given; the driver may know one, as from `~/.pgpass`.
    """

    value: str | None = field(repr=False)


def find_password(file: Path | None, environment: Mapping[str, str] = os.environ) -> Password:
    """The first line of the file, or else the environment's.

    Args:
        file: of mode 0600; None = the environment says.
        environment: where `ISTHMUS_SOURCE_PASSWORD` may stand.

    Raises:
        DataMissingError: the file is not there, or may not be read.
        DataInvalidError: others can read it, or it is empty.
    """
    if file is None:
        return Password(environment.get(VARIABLE))
    try:
        with file.open("rb") as handle:
            mode = os.fstat(handle.fileno()).st_mode
            content = handle.readline()
    except OSError as error:
        raise DataMissingError(
            f"the file of credentials {file.name} cannot be read: {error.strerror}",
            hint=f"make it, or leave `credentials` out and set {VARIABLE}",
        ) from None
    if mode & 0o077:
        raise DataInvalidError(
            f"the file of credentials {file.name} is open to others",
            hint=f"chmod 600 {file.name}",
        )
    return Password(_text(content, file.name))


def _text(content: bytes, name: str) -> str:
    """A password as text; nothing of it may come into an error."""
    stripped = content.rstrip(b"\r\n")
    if not stripped:
        raise DataInvalidError(f"the file of credentials {name} is empty in its first line")
    try:
        return stripped.decode()
    except UnicodeDecodeError:
        raise DataInvalidError(f"the file of credentials {name} is not UTF-8") from None
