"""Where the data sets are that do not ship with a package."""

from __future__ import annotations

import os
from pathlib import Path

from isthmus.doctor import DATA_FOLDER, DATA_VARIABLE
from isthmus.errors import DataMissingError


def data_set(data: Path | None, name: str) -> Path:
    """The folder of one data set.

    Looked for in `data` if given; else in the folder that ISTHMUS_DATA names; else in
    `../shared/data` beside the current folder.

    Raises:
        DataMissingError: the data folder, or this set in it, is not there.
    """
    folder = data or Path(os.environ.get(DATA_VARIABLE) or DATA_FOLDER)
    hint = f"give the folder that holds {name}/ with --data or in {DATA_VARIABLE}"
    if not folder.is_dir():
        raise DataMissingError(f"the data folder {folder} is not there", hint=hint)
    if not (folder / name).is_dir():
        raise DataMissingError(f"the data folder {folder} has no {name}/", hint=hint)
    return folder / name


def data_file(folder: Path, name: str) -> Path:
    """A file of a data set.

    Raises:
        DataMissingError: it is not there.
    """
    path = folder / name
    if not path.is_file():
        raise DataMissingError(f"{path} is not there", hint=f"{folder.name}/ is not complete")
    return path
