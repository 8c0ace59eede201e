"""What the store's files are made of: the manifest, sealed segments, mapped memory, the lock."""

import fcntl
import json
import os

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from ingest_cases import KEYS

from isthmus.errors import KeysError, StoreBusyError, StoreError
from isthmus_client.store import Store, lock, map_descriptor
from isthmus_client.store.lock import held
from isthmus_client.store.manifest import NAME, ROLE, Manifest, load_manifest, save_manifest
from isthmus_client.store.mapped import opened, packed
from isthmus_client.store.orders import Orders
from isthmus_client.store.people import FORGOTTEN, People, no_people
from isthmus_client.store.segments import Segments
from isthmus_client.vault import Keyring, pseudonym, write_sealed


def test_a_manifest_comes_back(tmp_path):
    manifest = Manifest(key_id=KEYS.key_id, generation=7, name="shop", forgotten=("ab" * 32,))
    save_manifest(tmp_path, KEYS, manifest)
    assert load_manifest(tmp_path, KEYS) == manifest
    assert b"shop" not in (tmp_path / NAME).read_bytes()


def test_without_a_manifest_the_store_is_empty(tmp_path):
    found = load_manifest(tmp_path, KEYS)
    assert (found.generation, found.events, found.files()) == (0, 0, set())


def test_a_manifest_of_other_keys_is_told_from_a_damaged_one(tmp_path):
    save_manifest(tmp_path, KEYS, Manifest(key_id=KEYS.key_id))
    with pytest.raises(KeysError, match="other keys"):
        load_manifest(tmp_path, Keyring.fresh())
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError):
        load_manifest(tmp_path, KEYS)


@pytest.mark.parametrize("text", ['{"format": 2, "key_id": "x"}', '{"key_id": "x", "new": 1}'])
def test_a_newer_manifest_is_not_guessed_at(tmp_path, text):
    write_sealed(tmp_path / NAME, KEYS.store, ROLE, text.encode())
    with pytest.raises(StoreError, match="another version"):
        load_manifest(tmp_path, KEYS)


def test_a_store_that_lost_its_manifest_is_left_as_it_is(tmp_path):
    with Store.open(tmp_path, KEYS, writable=True) as store:
        name = store.segments.write("users", b"kept")
        store.commit(store.manifest.model_copy(update={"users": name, "forgotten": ("ab" * 32,)}))
    (tmp_path / NAME).unlink()
    for writable in (True, False):
        with (
            pytest.raises(StoreError, match="is gone, though"),
            Store.open(tmp_path, KEYS, writable=writable),
        ):
            pass
    assert (tmp_path / "segments" / name).exists()


def test_a_first_writer_that_is_killed_leaves_a_store_that_opens(tmp_path):
    with Store.open(tmp_path, KEYS, writable=True) as store:
        store.segments.write("staged", b"of a process that died")
        left = store.segments.folder
        assert len(list(left.iterdir())) == 1
    (tmp_path / f".{NAME}.4711.tmp").touch()
    with Store.open(tmp_path, KEYS, writable=True) as store:
        assert store.manifest.generation == 0
        assert not list(left.iterdir())
    assert not list(tmp_path.glob(".*"))


def test_a_segment_opens_under_its_own_name_alone(tmp_path):
    segments = Segments(tmp_path, KEYS.store)
    one, two = (segments.write("2024-05", data) for data in (b"one", b"two"))
    assert segments.read(one) == b"one"
    (tmp_path / one).write_bytes((tmp_path / two).read_bytes())
    with pytest.raises(StoreError, match=one):
        segments.read(one)


def test_mapped_arrays_are_equal_aligned_and_cannot_be_written():
    arrays = {
        "times": np.array([3, 1, 4], np.int64),
        "items": np.array([1, 5], np.int32),
        "behaviours": np.array([9], np.int8),
        "pseudonyms": np.arange(64, dtype=np.uint8).reshape(2, 32),
        "none": np.empty(0, np.int64),
    }
    descriptor = opened(packed(arrays))
    found = map_descriptor(descriptor)
    with pytest.raises(OSError, match="not permitted"):
        os.pwrite(descriptor, b"x", 0)
    os.close(descriptor)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].flags.aligned
        assert not found[name].flags.writeable or not array.size


def test_people_keep_their_numbers_and_the_forgotten_get_none():
    gone = pseudonym(KEYS.pseudonym, "bob").hex()
    people = People(KEYS.pseudonym, no_people(), [gone])
    first = people.numbers([pa.array(["ann", "bob", "ann"]), pa.array(["cid"])])
    assert [n.tolist() for n in first] == [[0, FORGOTTEN, 0], [1]]
    assert [n.tolist() for n in people.numbers([pa.array(["dan", "cid"])])] == [[2, 1]]
    later = People(KEYS.pseudonym, people.pseudonyms, [gone])
    assert later.numbers([pa.array(["eve", "dan", "bob"])])[0].tolist() == [3, 2, FORGOTTEN]
    expected = [pseudonym(KEYS.pseudonym, name) for name in ("ann", "cid", "dan", "eve")]
    assert later.pseudonyms.to_pylist() == expected


def test_orders_are_numbered_alike_by_the_same_key_alone():
    with duckdb.connect() as connection:
        ids = pa.array(["o1", None, "o2", "o1"])
        found = Orders(connection, b"k" * 32).numbers(ids)
        assert (found[0], found[1]) == (found[3], 0)
        assert len({int(n) for n in found}) == 3
        assert (found >= 0).all()
        other = Orders(connection, b"l" * 32).numbers(ids)
        assert found[0] != other[0]
        assert Orders(connection, b"k" * 32).numbers(pa.nulls(3, pa.string())) is None


def test_a_lock_names_its_holder_and_ends_with_it(tmp_path):
    with held(tmp_path, 0.0):
        holder = json.loads((tmp_path / "lock").read_text())
        assert holder["pid"] == os.getpid()
        with (
            pytest.raises(StoreBusyError, match=f"process {os.getpid()} since 20"),
            held(tmp_path, 0.1),
        ):
            pass
    assert (tmp_path / "lock").read_bytes() == b""
    with held(tmp_path, 0.0):
        pass


def test_a_holder_that_has_not_signed_yet_is_named_once_it_has(tmp_path, monkeypatch):
    with (tmp_path / "lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)

        def sign(_seconds):
            holder.write('{"pid": 77, "since": "2024-05-01T00:00:00Z"}')
            holder.flush()

        monkeypatch.setattr(lock.time, "sleep", sign)
        with pytest.raises(StoreBusyError, match="process 77 since 2024"), held(tmp_path, 0.0):
            pass


def test_a_holder_that_never_signs_stays_unnamed(tmp_path, monkeypatch):
    naps = []
    monkeypatch.setattr(lock.time, "sleep", naps.append)
    with (tmp_path / "lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(StoreBusyError, match="another process"), held(tmp_path, 0.0):
            pass
    assert 0 < sum(naps) < 1


def test_a_writer_deletes_what_no_generation_names(tmp_path):
    folder = tmp_path / "store"
    with Store.open(folder, KEYS, writable=True) as store:
        store.segments.write("2024-05", b"left by a killed ingest")
        (folder / "quarantine/1.csv").write_text("left by it too")
    with Store.open(folder, KEYS, writable=True):
        pass
    assert list((folder / "segments").iterdir()) == []
    assert list((folder / "quarantine").iterdir()) == []
