"""A prepared platform as a folder that other processes load quickly.

    platform.json       format, name, split kind, whether times are real
    arrays.safetensors  every array
    items.parquet       item_id, text, category
    users.parquet       user_id

It holds raw events and ids: the folder stays where the platform's data is. Reading it runs no
code: there is no pickle in it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.files import write_json
from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories, Split
from isthmus_client.platform import Platform

FORMAT: Final = 1  # raised when an older reader would misread the folder
_ARRAYS: Final = {
    "vectors": np.float32,
    "prices": np.float32,
    "offsets": np.int64,
    "items": np.int32,
    "behaviours": np.int8,
    "times": np.int64,
    "train_stop": np.int64,
    "validation_stop": np.int64,
}


def save_platform(platform: Platform, folder: Path) -> None:
    """Write the platform beside `folder`, then put it in its place; an older one goes.

    Raises:
        OSError: the disk is full or the place cannot be written; `folder` is then as it was.
    """
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        _write(platform, beside)
        _replace(folder, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def load_platform(folder: Path) -> Platform:
    """The platform that `save_platform` wrote, value by value.

    Raises:
        DataMissingError: the folder, or a file in it, is not there.
        DataInvalidError: a file is damaged, or of another format.
    """
    try:
        manifest = json.loads((folder / "platform.json").read_text(encoding="utf-8"))
        _check_format(folder, manifest)
        return _assemble(
            manifest,
            load_file(folder / "arrays.safetensors"),
            pq.read_table(folder / "items.parquet").to_pydict(),
            pq.read_table(folder / "users.parquet").to_pydict(),
        )
    except FileNotFoundError as error:
        raise DataMissingError(
            f"no prepared platform in {folder}: {error.filename or error} is not there"
        ) from error
    except (SafetensorError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        raise DataInvalidError(
            f"the prepared platform in {folder} is damaged: {error}",
            hint="delete the folder and prepare the platform again",
        ) from error


def _write(platform: Platform, folder: Path) -> None:
    histories, split, catalogue = platform.histories, platform.split, platform.catalogue
    arrays = {
        "vectors": platform.vectors,
        "prices": catalogue.prices,
        "offsets": histories.offsets,
        "items": histories.items,
        "behaviours": histories.behaviours,
        "times": histories.times,
        "train_stop": split.train_stop,
        "validation_stop": split.validation_stop,
    }
    save_file(
        {name: np.ascontiguousarray(arrays[name], dtype=kind) for name, kind in _ARRAYS.items()},
        folder / "arrays.safetensors",
    )
    items = {
        "item_id": catalogue.item_ids,
        "text": catalogue.texts,
        "category": catalogue.categories,
    }
    _write_texts(folder / "items.parquet", items)
    _write_texts(folder / "users.parquet", {"user_id": histories.user_ids})
    manifest = {
        "format": FORMAT,
        "name": platform.name,
        "split": split.kind,
        "timed": histories.timed,
    }
    write_json(folder / "platform.json", manifest)


def _write_texts(path: Path, columns: Mapping[str, tuple[str, ...]]) -> None:
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    pq.write_table(pa.table(arrays), path)


def _replace(folder: Path, beside: Path) -> None:
    """Put `beside` in the place of `folder`; a folder cannot be replaced in one step."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    beside.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _check_format(folder: Path, manifest: Mapping[str, Any]) -> None:
    if manifest["format"] != FORMAT:
        raise DataInvalidError(
            f"the prepared platform in {folder} has format {manifest['format']}, "
            f"this version reads {FORMAT}",
            hint="delete the folder and prepare the platform again",
        )


def _assemble(
    manifest: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
    items: Mapping[str, list[str]],
    users: Mapping[str, list[str]],
) -> Platform:
    wrong = [name for name, kind in _ARRAYS.items() if arrays[name].dtype != kind]
    if wrong:
        raise ValueError(f"arrays of a wrong type: {', '.join(wrong)}")
    catalogue = Catalogue(
        tuple(items["item_id"]), tuple(items["text"]), tuple(items["category"]), arrays["prices"]
    )
    histories = Histories(
        user_ids=tuple(users["user_id"]),
        offsets=arrays["offsets"],
        items=arrays["items"],
        behaviours=arrays["behaviours"],
        times=arrays["times"],
        timed=bool(manifest["timed"]),
    )
    if len(catalogue) != len(arrays["vectors"]) or histories.users + 1 != histories.offsets.size:
        raise ValueError("its files do not belong together")
    split = Split(manifest["split"], arrays["train_stop"], arrays["validation_stop"])
    return Platform(str(manifest["name"]), catalogue, arrays["vectors"], histories, split)
