"""Keys are made once, together, and open to nobody else; what is wrong with them is said."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.errors import KeysError
from isthmus_client.vault import Keyring, create_keys, load_keys, read_passphrase
from isthmus_client.vault.key_files import KEYRING, PLATFORM_KEY
from isthmus_client.vault.keyring import ROLES


@pytest.fixture(autouse=True)
def _no_passphrase(monkeypatch):
    monkeypatch.delenv("ISTHMUS_KEY_PASSPHRASE", raising=False)


@pytest.fixture
def made(tmp_path):
    return tmp_path / "keys", create_keys(tmp_path / "keys")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def rewrite(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def test_keys_come_back_as_they_were_made(made):
    folder, keyring = made
    assert load_keys(folder) == keyring
    assert load_keys(folder).key_id == keyring.key_id


def test_all_keys_are_different_and_32_bytes(made, tmp_path):
    other = create_keys(tmp_path / "other")
    keys = [getattr(ring, role) for ring in (made[1], other) for role in ROLES]
    assert len(set(keys)) == 8
    assert {len(key) for key in keys} == {32}


def test_files_and_folder_are_the_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        create_keys(tmp_path / "keys")
    finally:
        os.umask(before)
    assert mode(tmp_path / "keys") == 0o700
    assert mode(tmp_path / "keys" / PLATFORM_KEY) == 0o600
    assert mode(tmp_path / "keys" / KEYRING) == 0o600
    assert {path.name for path in tmp_path.rglob("*")} == {"keys", PLATFORM_KEY, KEYRING}


def test_keys_are_never_replaced(made):
    folder, keyring = made
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(KeysError, match=r"holds keyring\.json, platform\.key"):
        create_keys(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert load_keys(folder) == keyring
    assert list(folder.parent.iterdir()) == [folder]  # nothing half made is left beside


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "mine.txt").write_text("mine")
    with pytest.raises(KeysError, match=r"holds mine\.txt"):
        create_keys(tmp_path / "keys")
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "keys").mkdir(mode=0o755)
    create_keys(tmp_path / "keys")
    assert mode(tmp_path / "keys") == 0o700


@pytest.mark.parametrize("name", [PLATFORM_KEY, KEYRING])
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_is_open_to_others_is_refused(made, name, bits):
    folder, _ = made
    (folder / name).chmod(bits)
    with pytest.raises(KeysError, match=f"open to others: its mode is {bits:04o}") as refused:
        load_keys(folder)
    assert refused.value.hint.startswith(f"chmod 600 {folder / name}")


def test_a_folder_that_others_can_write_into_is_refused(made):
    folder, _ = made
    folder.chmod(0o770)
    with pytest.raises(KeysError, match="others can write into"):
        load_keys(folder)
    folder.chmod(0o750)
    load_keys(folder)


@pytest.mark.parametrize("name", [PLATFORM_KEY, KEYRING])
def test_a_missing_file_is_named(made, name):
    folder, _ = made
    (folder / name).unlink()
    with pytest.raises(KeysError, match=f"there is no {folder / name}"):
        load_keys(folder)


def test_missing_keys_are_said_to_be_missing(tmp_path):
    with pytest.raises(KeysError, match="there are no keys at") as refused:
        load_keys(tmp_path / "keys")
    assert "isthmus client init" in refused.value.hint


def test_a_keyring_of_another_platform_key_is_refused(made, tmp_path):
    folder, _ = made
    create_keys(tmp_path / "other")
    rewrite(folder / KEYRING, (tmp_path / "other" / KEYRING).read_text())
    with pytest.raises(KeysError, match=rf"{KEYRING}: it was not made with the platform\.key"):
        load_keys(folder)


def test_keys_of_one_keyring_cannot_change_places(made):
    folder, _ = made
    value = json.loads((folder / KEYRING).read_text())
    value["keys"]["store"], value["keys"]["heads"] = value["keys"]["heads"], value["keys"]["store"]
    rewrite(folder / KEYRING, json.dumps(value))
    with pytest.raises(KeysError, match="not made with"):
        load_keys(folder)


def test_a_keyring_under_another_key_id_is_refused(made):
    folder, keyring = made
    text = (folder / KEYRING).read_text()
    rewrite(folder / KEYRING, text.replace(keyring.key_id, "0" * 16))
    with pytest.raises(KeysError, match="damaged"):
        load_keys(folder)


@pytest.mark.parametrize("name", [PLATFORM_KEY, KEYRING])
def test_every_altered_byte_is_refused(made, name):
    folder, _ = made
    whole = (folder / name).read_bytes()
    for at in range(len(whole.rstrip())):
        altered = bytearray(whole)
        altered[at] ^= 1
        (folder / name).write_bytes(altered)
        with pytest.raises(KeysError):
            load_keys(folder)


@pytest.mark.parametrize("name", [PLATFORM_KEY, KEYRING])
def test_a_cut_file_is_refused(made, name):
    folder, _ = made
    whole = (folder / name).read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 4):
        (folder / name).write_bytes(whole[:length])
        with pytest.raises(KeysError, match="damaged"):
            load_keys(folder)


def test_a_file_that_is_no_small_text_is_refused(made):
    folder, _ = made
    (folder / PLATFORM_KEY).write_bytes(bytes(70_000))
    with pytest.raises(KeysError, match="70,000 bytes"):
        load_keys(folder)


def test_line_ends_of_another_system_do_no_harm(made):
    folder, keyring = made
    path = folder / PLATFORM_KEY
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_keys(folder) == keyring


def test_a_passphrase_protects_the_key(tmp_path, monkeypatch):
    folder, file = tmp_path / "keys", tmp_path / "passphrase"
    rewrite(file, "correct horse\n")
    keyring = create_keys(folder, passphrase=read_passphrase(file))
    assert "protection scrypt" in (folder / PLATFORM_KEY).read_text()
    assert load_keys(folder, passphrase_file=file) == keyring
    with pytest.raises(KeysError, match="protected by a passphrase") as refused:
        load_keys(folder)
    assert "ISTHMUS_KEY_PASSPHRASE" in refused.value.hint
    monkeypatch.setenv("ISTHMUS_KEY_PASSPHRASE", "correct horse")
    assert load_keys(folder) == keyring
    monkeypatch.setenv("ISTHMUS_KEY_PASSPHRASE", "wrong pony")
    with pytest.raises(KeysError, match="passphrase is wrong") as wrong:
        load_keys(folder)
    assert "pony" not in f"{wrong.value} {wrong.value.hint}"


def test_a_passphrase_file_must_be_the_owners_and_say_something(tmp_path):
    file = tmp_path / "passphrase"
    rewrite(file, "\nsecond line\n")
    with pytest.raises(KeysError, match="first line; that is empty"):
        read_passphrase(file)
    file.chmod(0o644)
    with pytest.raises(KeysError, match="open to others"):
        read_passphrase(file)


def test_no_passphrase_is_none():
    assert read_passphrase(environment={}) is None
    assert read_passphrase(environment={"ISTHMUS_KEY_PASSPHRASE": ""}) is None


def test_the_key_id_names_all_keys():
    ring = Keyring(*(bytes([number]) * 32 for number in range(4)))
    assert ring.key_id == "844bb069aa649ec9"  # as stores and receipts hold it: never to change
    for role in ROLES:
        keys = {each: getattr(ring, each) for each in ROLES}
        assert Keyring(**{**keys, role: bytes([9]) * 32}).key_id != ring.key_id


def test_no_key_is_shown():
    ring = Keyring.fresh()
    shown = f"{ring} {ring!r} {[ring]} {vars(type(ring)).keys()}"
    for role in ROLES:
        key = getattr(ring, role)
        assert key.hex() not in shown
        assert repr(key)[2:-1] not in shown
    assert str(ring) == f"Keyring(key_id='{ring.key_id}')"


TWO = """
import sys
from pathlib import Path
from isthmus.errors import KeysError
from isthmus_client.vault import create_keys
try:
    print(create_keys(Path(sys.argv[1])).key_id)
except KeysError:
    print("refused")
"""


def test_of_processes_that_make_keys_at_once_one_does(tmp_path):
    folder = tmp_path / "keys"
    running = [
        subprocess.Popen([sys.executable, "-c", TWO, folder], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [process.communicate()[0].strip() for process in running]
    assert said.count("refused") == 3
    assert load_keys(folder).key_id in said
    assert list(tmp_path.iterdir()) == [folder]
