"""A prepared platform's folder: replaced whole, and refused where it is damaged."""

import json
from dataclasses import replace

import numpy as np
import pytest

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories, leave_one_out
from isthmus_client.platform import Platform
from isthmus_client.platform_files import load_platform, save_platform


def platform(name="shop"):
    histories = Histories(
        user_ids=("u", "v"),
        offsets=np.array([0, 3, 5]),
        items=np.array([0, 1, 0, 1, 1], np.int32),
        behaviours=np.array([5, 5, 1, 2, 5], np.int8),
        times=np.array([10, 20, 30, 10, 11]),
        timed=True,
    )
    catalogue = Catalogue(("a", "b"), ("Pen", "Ink"), ("", "x"), np.array([1, 2], np.float32))
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    return Platform(name, catalogue, vectors, histories, leave_one_out(histories))


def test_an_older_folder_is_replaced_whole(tmp_path):
    folder = tmp_path / "shop"
    save_platform(platform("older"), folder)
    (folder / "left-over").touch()
    save_platform(platform("newer"), folder)
    assert load_platform(folder).name == "newer"
    assert not (folder / "left-over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


def test_parent_folders_are_made(tmp_path):
    save_platform(platform(), tmp_path / "run" / "platforms" / "shop")
    assert load_platform(tmp_path / "run" / "platforms" / "shop").histories.users == 2


def test_a_failed_save_leaves_the_older_folder(tmp_path):
    folder = tmp_path / "shop"
    save_platform(platform(), folder)
    texts = ("Pen", "\ud800")  # half a character: no UTF-8 file can hold it
    broken = replace(platform("newer"), catalogue=replace(platform().catalogue, texts=texts))
    with pytest.raises(UnicodeEncodeError):
        save_platform(broken, folder)
    assert load_platform(folder).name == "shop"
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


@pytest.mark.parametrize(
    "file", ["platform.json", "arrays.safetensors", "items.parquet", "users.parquet"]
)
def test_a_missing_file(tmp_path, file):
    save_platform(platform(), tmp_path / "shop")
    (tmp_path / "shop" / file).unlink()
    with pytest.raises(DataMissingError, match="no prepared platform in"):
        load_platform(tmp_path / "shop")


@pytest.mark.parametrize(
    "file", ["platform.json", "arrays.safetensors", "items.parquet", "users.parquet"]
)
def test_a_truncated_file(tmp_path, file):
    save_platform(platform(), tmp_path / "shop")
    path = tmp_path / "shop" / file
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataInvalidError, match="is damaged") as caught:
        load_platform(tmp_path / "shop")
    assert "prepare the platform again" in caught.value.hint


def test_files_of_two_platforms_mixed(tmp_path):
    save_platform(platform(), tmp_path / "shop")
    longer = Catalogue(("a", "b", "c"), ("",) * 3, ("",) * 3, np.zeros(3, np.float32))
    vectors = np.zeros((3, 3), np.float32)
    save_platform(replace(platform(), catalogue=longer, vectors=vectors), tmp_path / "other")
    (tmp_path / "other" / "items.parquet").replace(tmp_path / "shop" / "items.parquet")
    with pytest.raises(DataInvalidError, match="do not belong together"):
        load_platform(tmp_path / "shop")


def test_another_format(tmp_path):
    save_platform(platform(), tmp_path / "shop")
    manifest = tmp_path / "shop" / "platform.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 2}))
    with pytest.raises(DataInvalidError, match="has format 2, this version reads 1"):
        load_platform(tmp_path / "shop")


def test_nothing_there(tmp_path):
    with pytest.raises(DataMissingError, match="no prepared platform in"):
        load_platform(tmp_path / "nowhere")
