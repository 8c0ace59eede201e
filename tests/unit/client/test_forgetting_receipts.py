"""Receipts of persons forgotten: what they say, who can check them, and what a crash leaves."""

import json

import pytest
from forgetting_cases import ROWS, erased, filled, forgotten, full_contract, hashed, places, request
from ingest_cases import KEYS, NOW, rows_of, take_in, write_events

from isthmus.errors import DataInvalidError, DataMissingError, KeysError, StoreError
from isthmus.progress import Silent
from isthmus_client.forgetting import forget, load_receipt, look, returned, verify, verifying
from isthmus_client.forgetting import receipts as naming
from isthmus_client.forgetting.receipts import PENDING, write_pending
from isthmus_client.home import Home
from isthmus_client.store.forget import stored_rows
from isthmus_client.vault import Keyring

OTHERS = Keyring(*(bytes([n]) * 32 for n in (13, 17, 19, 23)))


@pytest.fixture
def folder(tmp_path):
    filled(tmp_path)
    return tmp_path


def home(folder):
    return Home(folder / "platform.toml")


def receipts(folder):
    return sorted(path.name for path in (folder / "receipts").iterdir())


def test_a_receipt_says_what_was_done(folder):
    found = forgotten(folder, "ann")
    (path,) = found.files
    receipt = load_receipt(path)
    assert (receipt,) == found.receipts
    assert receipt.platform == "own"
    assert receipt.key_id == KEYS.key_id
    assert receipt.pseudonym == hashed("ann")[0].hex()
    assert receipt.time == "2025-01-01T00:00:00Z"
    assert (receipt.before, receipt.after) == (1, 2)
    assert receipt.removed["events"] == 3
    assert receipt.remembered_before is False
    assert set(receipt.replaced).isdisjoint(p.name for p in (folder / "store/segments").iterdir())
    assert path.name.startswith("forgotten-20250101T000000Z-")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "ann" not in path.read_text().replace("channel", "").replace("cannot", "")


def test_each_person_gets_a_receipt_without_the_others(folder):
    found = forgotten(folder, "ann", "eve", "nobody")
    assert len({path.read_bytes() for path in found.files}) == 3
    for path, mine in zip(found.files, hashed("ann", "eve", "nobody"), strict=True):
        text = path.read_text()
        assert mine.hex() in text
        assert sum(other.hex() in text for other in hashed("ann", "eve", "nobody")) == 1
    assert [each.after for each in found.receipts] == [2, 2, 2]
    assert found.receipts[2].removed == {}
    assert found.receipts[2].replaced == ()


def test_a_receipt_in_our_name_that_others_signed_forgets_nobody(folder):
    (path,) = forgotten(folder, "nobody").files
    forged = load_receipt(path).model_copy(
        update={"pseudonym": hashed("bob")[0].hex(), "public_key": naming.public_key(OTHERS)}
    )
    path.write_text(forged.signed(OTHERS).model_dump_json())
    assert load_receipt(path).key_id == KEYS.key_id
    assert returned(request(folder)) == []


def test_no_receipt_takes_the_name_of_another(folder, monkeypatch):
    monkeypatch.setattr(naming, "_DIGIT_BYTES", 1)  # as if thousands of persons came at once
    ids = [f"nobody-{n}" for n in range(150)]
    assert len(set(forgotten(folder, *ids[:75]).files)) == 75
    forgotten(folder, *ids[75:])
    found = {load_receipt(path).pseudonym for path in (folder / "receipts").iterdir()}
    assert found == {each.hex() for each in hashed(*ids)}


def test_a_second_request_says_that_nothing_was_left(folder):
    forgotten(folder, "ann")
    (receipt,) = forgotten(folder, "ann").receipts
    assert (receipt.before, receipt.after, receipt.removed) == (2, 2, {})
    assert receipt.remembered_before is True
    assert len(receipts(folder)) == 2


def test_anybody_can_check_a_receipt(folder, tmp_path):
    (path,) = forgotten(folder, "ann").files
    found = verify(path, home(tmp_path / "elsewhere"), None)
    assert (found.generation, found.person) == (None, None)


def test_the_platform_can_check_whose_it_is(folder):
    (path,) = forgotten(folder, "ann").files
    assert verify(path, home(folder), KEYS, user_id="ann").person is True
    assert verify(path, home(folder), KEYS).generation == 2
    with pytest.raises(DataInvalidError, match="another person's") as caught:
        verify(path, home(folder), KEYS, user_id="bob")
    assert "bob" not in str(caught.value)
    with pytest.raises(KeysError, match="keys alone"):
        verify(path, home(folder), None, user_id="ann")


def test_a_check_beside_a_writer_looks_at_one_generation(folder, monkeypatch):
    (path,) = forgotten(folder, "ann").files
    seen = []

    def beside_a_writer(store, pseudonyms):
        if not seen:
            forgotten(folder, "bob")  # its files replace those that are about to be read
        seen.append(store.manifest.generation)
        return stored_rows(store, pseudonyms)

    monkeypatch.setattr(verifying, "stored_rows", beside_a_writer)
    assert verify(path, home(folder), KEYS, user_id="ann").generation == 3
    assert seen == [2, 3]


def test_a_receipt_of_other_keys_is_not_ours(folder):
    (path,) = forgotten(folder, "ann").files
    with pytest.raises(DataInvalidError, match=f"{KEYS.key_id}, these are {OTHERS.key_id}"):
        verify(path, home(folder), OTHERS)


def test_every_alteration_of_a_receipt_shows(folder):
    (path,) = forgotten(folder, "ann").files
    value = json.loads(path.read_text())
    other = {str: "0" * 64, int: 7, bool: True, list: [], dict: {}}
    for name, old in value.items():
        new = other[type(old)] if old != other[type(old)] else ["x"]
        path.write_text(json.dumps({**value, name: new}))
        with pytest.raises(DataInvalidError):
            load_receipt(path)
    nested = {**value, "removed": {**value["removed"], "events": 4}}
    path.write_text(json.dumps(nested))
    with pytest.raises(DataInvalidError, match="was altered"):
        load_receipt(path)
    path.write_text(json.dumps(value, indent=7))  # the same value, written in another way
    assert load_receipt(path).removed["events"] == 3


@pytest.mark.parametrize("text", ["", "{}", "[]", "not json", '{"format": "something else"}'])
def test_anything_else_is_no_receipt(tmp_path, text):
    path = tmp_path / "receipt.json"
    path.write_text(text)
    with pytest.raises(DataInvalidError, match="no receipt of a person"):
        load_receipt(path)


def test_a_receipt_that_is_not_there(tmp_path):
    with pytest.raises(DataMissingError, match="No such file"):
        load_receipt(tmp_path / "receipt.json")
    with pytest.raises(DataMissingError):
        load_receipt(tmp_path)


def test_an_older_store_put_back_is_found_and_mended(folder):
    old = {p: p.read_bytes() for p in (folder / "store").rglob("*") if p.is_file()}
    (path,) = forgotten(folder, "ann").files
    for each, data in old.items():
        each.write_bytes(data)
    with pytest.raises(StoreError, match="generation 1, holds 9 rows of this person"):
        verify(path, home(folder), KEYS)
    again = returned(request(folder))
    assert again == hashed("ann")
    forget_again(folder, again)
    assert verify(path, home(folder), KEYS).generation == 2
    assert returned(request(folder)) == []


def forget_again(folder, pseudonyms):
    whom = request(folder)
    whom = type(whom)(whom.home, whom.keyring, pseudonyms)
    return forget(whom, places(folder), Silent(), now=NOW)


def test_a_new_store_would_take_the_person_in_again(folder):
    (path,) = forgotten(folder, "ann").files
    (folder / "store").rename(folder / "lost")
    take_in(folder, full_contract(folder))
    with pytest.raises(StoreError, match="holds 9 rows"):
        verify(path, home(folder), KEYS)
    forget_again(folder, returned(request(folder)))
    assert len(rows_of(folder)) == 6
    erased(folder, "bob")
    assert verify(path, home(folder), KEYS).generation == 3


def test_a_store_that_forgot_whom_it_forgot(folder):
    (path,) = forgotten(folder, "nobody").files
    (folder / "store").rename(folder / "lost")
    with pytest.raises(StoreError, match="generation 0, would take this person in again"):
        verify(path, home(folder), KEYS)


def pending(folder, *ids, after):
    """Receipts as a process leaves them that is killed while it forgets."""
    done = forgotten(folder / "copy", *ids)
    for each in done.receipts:
        promised = each.model_copy(update={"after": after}).signed(KEYS)
        write_pending(folder / "receipts", promised)


def test_killed_before_the_store_changes_nothing_is_promised(folder):
    filled(folder / "copy")
    pending(folder, "ann", after=2)
    (folder / "receipts/.forgotten-x.json.pending.7.tmp").write_bytes(b"half")
    assert [name.endswith(PENDING) for name in receipts(folder)] == [False, True]
    assert look(request(folder, "ann"))[0]["events"] == 3
    assert receipts(folder) == []


def test_killed_after_the_store_changed_the_receipts_become_valid(folder):
    filled(folder / "copy")
    pending(folder, "ann", "bob", after=2)
    erased(folder, "ann", "bob")
    assert look(request(folder, "ann")) == ({},)
    found = [load_receipt(folder / "receipts" / name) for name in receipts(folder)]
    assert {each.pseudonym for each in found} == {each.hex() for each in hashed("ann", "bob")}
    assert not any(name.endswith(PENDING) for name in receipts(folder))


def test_a_promise_of_a_later_generation_is_not_taken_for_done(folder):
    filled(folder / "copy")
    erased(folder, "ann")
    pending(folder, "ann", after=3)
    look(request(folder, "ann"))
    assert receipts(folder) == []


def test_another_writer_between_does_not_make_a_promise_true(folder):
    filled(folder / "copy")
    pending(folder, "ann", after=2)
    write_events(folder, [*ROWS, ("dan", "vase", NOW - 5)])
    take_in(folder, full_contract(folder))  # generation 2, and ann is in it
    assert look(request(folder, "ann"))[0]["events"] == 3
    assert receipts(folder) == []
