"""Releases: made from what a round committed, signed, checked, withdrawn; and the commands."""

import json

import pytest
from command_checks import refuse
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from released_run import RUN, commit_rounds, config_values, made_server

from isthmus.cli import run as command
from isthmus.errors import (
    DataInvalidError,
    DataMissingError,
    IdentityError,
    ResumeError,
    StateError,
)
from isthmus.identity import load_signing_key, public_raw
from isthmus.signed_release import FILES, verify_release
from isthmus_client.release import load_release
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.releases import check_release, make_release
from isthmus_server.settings import load_settings
from isthmus_server.state import open_state


@pytest.fixture
def home(tmp_path):
    return made_server(tmp_path / "server")


@pytest.fixture
def state(home):
    with open_state(load_settings(home).database_url(home)) as opened:
        yield opened


@pytest.fixture
def key(home):
    return load_signing_key(home.identity / "signing.key")


@pytest.fixture
def contract(home, state):
    return commit_rounds(home, state)


def test_release_is_what_the_round_committed(home, state, key, contract):
    row = make_release(home, state, RUN, key=key)
    assert (row.id, row.round, row.path) == (f"{RUN}-r00002", 2, f"{RUN}-r00002")
    folder = home.releases / row.path
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    card = verify_release(folder, public_raw(key))
    assert card == check_release(home, state, row.id, public_raw(key))
    assert (card.sha256, card.contract_sha256) == (row.sha256, contract.sha256)
    assert (card.members, card.trust, card.rounds) == (tuple(sorted(contract.members)), "none", 5)
    assert (folder / "signature").read_bytes() == row.signature
    committed = CheckpointStore(home.rounds(RUN)).parameters(2)
    assert card.fingerprint == committed.fingerprint() == state.rounds.list(RUN)[-1].fingerprint


def test_platform_reads_what_the_server_wrote(home, state, key, contract):
    row = make_release(home, state, RUN, key=key, number=1)
    release = load_release(home.releases / row.path)
    assert (release.round, dict(release.config)) == (1, config_values(contract))
    assert release.module().state_dict().keys() == contract.tensors.keys()


@pytest.mark.usefixtures("contract")
def test_made_again_it_is_the_same_release(home, state, key):
    row = make_release(home, state, RUN, key=key)
    files = {each.name: each.read_bytes() for each in (home.releases / row.path).iterdir()}
    assert make_release(home, state, RUN, key=key) == row
    with state.database.write() as connection:  # as if the process had died before the row
        connection.exec_driver_sql("DELETE FROM releases")
    assert make_release(home, state, RUN, key=key).signature == row.signature
    assert files == {e.name: e.read_bytes() for e in (home.releases / row.path).iterdir()}


def test_only_what_was_committed_is_released(home, state, key):
    with pytest.raises(StateError, match="no run 'spring'"):
        make_release(home, state, RUN, key=key)
    commit_rounds(home, state)
    with pytest.raises(StateError, match="round 3 of the run 'spring' is not committed"):
        make_release(home, state, RUN, key=key, number=3)
    path = home.rounds(RUN) / "round-00002.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ResumeError, match="round 2"):
        make_release(home, state, RUN, key=key)
    with state.database.write() as connection:
        connection.exec_driver_sql("UPDATE rounds SET fingerprint = 'ff'")
    with pytest.raises(StateError, match="the state says ff"):
        make_release(home, state, RUN, key=key, number=1)
    assert not list(home.releases.iterdir())


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("encoder.safetensors", DataInvalidError),
        ("release.json", IdentityError),
        ("signature", IdentityError),
    ],
)
@pytest.mark.usefixtures("contract")
def test_every_changed_bit_shows(name, error, home, state, key):
    folder = home.releases / make_release(home, state, RUN, key=key).path
    path, public = folder / name, public_raw(key)
    good = path.read_bytes()
    for place in {0, len(good) // 2, len(good) - 1}:
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(error):
            verify_release(folder, public)
    path.unlink()
    with pytest.raises(DataMissingError, match=name):
        verify_release(folder, public)


@pytest.mark.usefixtures("contract")
def test_another_servers_release_is_not_ours(home, state, key):
    folder = home.releases / make_release(home, state, RUN, key=key).path
    with pytest.raises(IdentityError, match="not signed by this server"):
        verify_release(folder, public_raw(Ed25519PrivateKey.generate()))


@pytest.mark.usefixtures("contract")
def test_swapped_folders_show(home, state, key):
    first, second = (make_release(home, state, RUN, key=key, number=n) for n in (1, 2))
    folders = [home.releases / each.path for each in (first, second)]
    folders[0].rename(home.releases / "aside")
    folders[1].rename(folders[0])
    with pytest.raises(IdentityError, match=f"are those of {second.id}"):
        check_release(home, state, first.id, public_raw(key))


def shown(arguments, capsys):
    assert command([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("contract")
def test_commands(home, capsys):
    at = ("--home", str(home.folder))
    release = ("server", "release")
    assert shown([*release, "list", *at], capsys) == []
    made = shown([*release, "make", "--run", RUN, *at], capsys)
    assert made["id"] == f"{RUN}-r00002"
    assert [each["id"] for each in shown([*release, "verify", *at], capsys)] == [made["id"]]
    folder = str(home.releases / made["path"])
    public = str(home.identity / "signing.key.pub")
    (card,) = shown([*release, "verify", "--folder", folder, "--key", public], capsys)
    assert card["sha256"] == made["sha256"]
    gone = shown([*release, "withdraw", made["id"], "--reason", "wrong [data]", *at], capsys)
    assert gone["withdrawn_reason"] == "wrong [data]"
    for verb in ("list", "verify"):
        assert command([*release, verb, *at]) == 0
        assert made["id"] in capsys.readouterr().out
    refuse([*release, "make", "--run", "none", *at], 25, "no run 'none'", capsys)
    refuse([*release, "withdraw", "x", "--reason", " ", *at], 10, "--reason is empty", capsys)
    refuse([*release, "verify", "x", "--folder", folder], 10, "name no RELEASE", capsys)
    refuse([*release, "verify", "none", *at], 25, "no release 'none'", capsys)
    refuse([*release, "list", "--home", "nowhere"], 11, "there is no server in nowhere", capsys)


@pytest.mark.usefixtures("contract")
def test_backup_and_restore_commands(home, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ISTHMUS_BACKUP_PASSPHRASE", raising=False)
    phrase = tmp_path / "phrase"
    phrase.touch(mode=0o600)
    phrase.write_text("correct horse\n")
    with_phrase = ("--passphrase-file", str(phrase))
    made = shown(["server", "backup", "b.tar", "--home", str(home.folder), *with_phrase], capsys)
    assert (made["keys"], made["left_out"], made["rows"]["rounds"]) == (True, [], 2)
    done = shown(["server", "restore", "b.tar", "--home", "new", *with_phrase], capsys)
    assert (done["keys"], done["config"], done["rows"]) == (True, True, made["rows"])
    assert command(["server", "release", "make", "--run", RUN, "--home", "new"]) == 0
    assert command(["server", "backup", "--home", "new"]) == 0
    assert "Not in it: ca/ca.key" in capsys.readouterr().out
    refuse(["server", "backup", "b.tar", "--home", "new"], 25, "is there already", capsys)
    refuse(["server", "restore", "b.tar", "--home", "new"], 25, "is not empty", capsys)
    refuse(["server", "restore", "b.tar", "--home", "x"], 25, "keys under a passphrase", capsys)
    refuse(["server", "restore", "none.tar", "--home", "x"], 25, "No such file", capsys)
    assert command(["server", "restore", "b.tar", "--home", "x", "--without-keys"]) == 0
    assert "no private keys" in capsys.readouterr().out
