"""Backups: whole, checked, without secrets; into SQLite and PostgreSQL from either."""

import hashlib
import io
import json
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from state_databases import KINDS, empty_database, join, propose

from isthmus.audit_log import AuditLog, verify_log
from isthmus.errors import KeysError, StateError
from isthmus_server.new_server import create_server
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings, load_settings
from isthmus_server.state import open_state
from isthmus_server.state import sealed_keys as sealed_keys_module
from isthmus_server.state.backup import backup
from isthmus_server.state.restore import restore
from isthmus_server.state.sealed_keys import read_passphrase

PASSPHRASE = b"correct horse"
SCRIPT = "runs/run-1/rounds/round-00001.safetensors"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quick_scrypt(monkeypatch):
    """The stretching itself is the library's; its cost is held by one test alone."""
    monkeypatch.setattr(sealed_keys_module, "_N", 2**4)


def server(folder, database=""):
    home = ServerHome(folder)
    create_server(home, Settings(database=database))
    return home


def fill(state):
    """Something in every table."""
    token = state.invitations.create("shop", 1)
    state.platforms.enrol(
        token, "shop", signing=b"\0\xff" * 16, node_key=b"n", fingerprint="f", csr=b"c"
    )
    state.platforms.set_status("shop", "approved", "ok")
    state.platforms.open_session("shop", "", "ticket-of-shop")
    told = {"facts": {"a": [1, None, {"b": 0.5}]}, "audit_lines": 2**40, "audit_head": "ff"}
    state.platforms.heartbeat("shop", "ticket-of-shop", at=NOON, skew_s=0.1, **told)
    join(state, "späti \N{SNOWMAN}", approve=False)
    propose(state)
    state.runs.decide("run-1", "shop", "approved", "", b"\1")
    record = {"loss": 1e-300, "big": 2**60}
    state.rounds.commit("run-1", 1, 2, record=record, fingerprint="ab" * 32, seconds=0.1 + 0.2)
    state.events.add("info", "note", "first")
    values = {"run": "run-1", "round": 1, "sha256": "0a" * 32, "path": "run-1-r00001"}
    state.releases.add("run-1-r00001", signature=b"s", **values)
    return token


def everything(state):
    """All rows, without what a restore forgets."""
    hidden = {"session": None, "session_before": None, "session_confirmed": False}
    platforms = [vars(each) | hidden for each in state.platforms.list()]
    rest = (state.invitations, state.runs, state.releases)
    events = [each for each in state.events.list() if each.kind != "restored"]
    rows = [each.list() for each in rest]
    return platforms, rows, state.rounds.list("run-1"), state.runs.decisions("run-1"), events


@pytest.fixture
def home(tmp_path):
    made = server(tmp_path / "server")
    path = made.folder / SCRIPT
    path.parent.mkdir(parents=True)
    path.write_bytes(os.urandom(100_000))
    (path.parent / ".half.123.tmp").write_bytes(b"unfinished")
    AuditLog(made.audit).append({"kind": "started"})
    with open_state(load_settings(made).database_url(made)) as state:
        fill(state)
    return made


def members(path):
    with tarfile.open(path) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar}


def rewrite(path, files):
    """The archive with other members."""
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_every_row_comes_back_in_any_database(source, target, tmp_path, request):
    postgres = request.getfixturevalue("postgres") if "postgresql" in (source, target) else None
    from_url = empty_database(source, postgres, tmp_path)
    to_url = empty_database(target, postgres, tmp_path)
    old = server(tmp_path / "old", from_url)
    with open_state(from_url) as state:
        fill(state)
        before = everything(state)
    made = backup(old, tmp_path / "b.tar", PASSPHRASE)
    done = restore(tmp_path / "b.tar", tmp_path / "new", PASSPHRASE, database=to_url)
    assert done.rows == made.rows
    assert min(made.rows.values()) == 1
    with open_state(to_url) as state:
        assert everything(state) == before
        state.events.add("info", "note", "after")
        assert len({each.id for each in state.events.list()}) == 3


def test_a_restored_server_is_the_same_server(home, tmp_path):
    out = tmp_path / "b.tar"
    made = backup(home, out, PASSPHRASE)
    assert (made.keys, made.left_out, out.stat().st_mode & 0o777) == (True, (), 0o600)
    assert made.bytes == out.stat().st_size
    done = restore(out, tmp_path / "new", PASSPHRASE)
    new = ServerHome(tmp_path / "new")
    assert (done.keys, done.config, done.place) == (True, True, str(new.database_path))
    kept = [home.config, home.audit, home.folder / SCRIPT]
    kept += [each for each in home.folder.glob("*/*") if each.suffix in {".key", ".pem", ".pub"}]
    assert len(kept) >= 7
    for path in kept:
        copy = new.folder / path.relative_to(home.folder)
        assert copy.read_bytes() == path.read_bytes()
    for path in (
        new.folder,
        new.authority,
        new.identity,
        *filter(Path.is_file, new.folder.rglob("*")),
    ):
        assert path.stat().st_mode & 0o077 == 0, path
    assert {each.name for each in new.folder.iterdir()} >= {"logs", "run", "releases"}
    assert verify_log(new.audit).first_bad is None
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.tar", "new", "server"]


def test_platforms_of_a_restored_server_are_no_clones(home, tmp_path):
    backup(home, tmp_path / "b.tar")
    restore(tmp_path / "b.tar", tmp_path / "new")
    with open_state(tmp_path / "new" / "state.sqlite") as state:
        told = {"at": NOON, "skew_s": 0.0, "facts": {}, "audit_lines": 2**41, "audit_head": "a"}
        assert state.platforms.heartbeat("shop", "a-later-ticket", **told) == "closed"
        assert state.platforms.open_session("shop", "a-later-ticket", "next") == "opened"
        assert state.events.list()[0].kind == "restored"


def test_no_secret_is_in_a_backup_without_a_passphrase(tmp_path, request):
    postgres = request.getfixturevalue("postgres")
    url = empty_database("postgresql", postgres, tmp_path)
    home = server(tmp_path / "server", url)
    with open_state(url) as state:
        token = fill(state)
    keys = [each.read_bytes() for each in home.folder.rglob("*.key")]
    assert len(keys) == 3
    for number, passphrase in enumerate((None, PASSPHRASE)):
        out = tmp_path / f"{number}.tar"
        made = backup(home, out, passphrase)
        data = out.read_bytes()
        secrets = (token.encode(), b"ticket-of-shop", url.encode(), url.split(":")[2].encode())
        assert not [each for each in (*keys, *secrets) if each in data]
        left = {"ca/ca.key", "tls/server.key", "identity/signing.key", "server.toml"}
        assert set(made.left_out) == (left if passphrase is None else set())


def test_wrong_or_missing_passphrase(home, tmp_path):
    out = tmp_path / "b.tar"
    backup(home, out, PASSPHRASE)
    with pytest.raises(StateError, match="holds keys under a passphrase") as caught:
        restore(out, tmp_path / "new")
    assert "--without-keys" in caught.value.hint
    with pytest.raises(StateError, match="passphrase is wrong, or the backup was altered"):
        restore(out, tmp_path / "new", b"another")
    assert not (tmp_path / "new").exists()
    done = restore(out, tmp_path / "new", without_keys=True)
    assert not done.keys
    assert not list((tmp_path / "new").rglob("*.key"))


def test_altered_backup_with_a_made_up_manifest_does_not_pass_with_a_passphrase(home, tmp_path):
    out = tmp_path / "b.tar"
    backup(home, out, PASSPHRASE)
    files = members(out)
    name = f"files/{SCRIPT}"
    files[name] = b"other weights"
    manifest = json.loads(files["manifest.json"])
    digest = hashlib.sha256(files[name]).hexdigest()
    manifest["files"][name] = {"sha256": digest, "bytes": len(files[name])}
    files["manifest.json"] = json.dumps(manifest).encode()
    rewrite(out, files)
    with pytest.raises(StateError, match="altered after it was made"):
        restore(out, tmp_path / "new", PASSPHRASE)


def change(files, what):
    """One kind of damage."""
    name = f"files/{SCRIPT}"
    if what == "a bit":
        files[name] = bytes([files[name][0] ^ 1]) + files[name][1:]
    elif what == "missing":
        del files[name]
    elif what == "added":
        files["files/runs/extra"] = b"x"
    elif what == "no manifest":
        del files["manifest.json"]
    elif what == "odd manifest":
        files["manifest.json"] = b"{}"
    elif what == "newer":
        manifest = json.loads(files["manifest.json"]) | {"schema": "0099"}
        files["manifest.json"] = json.dumps(manifest).encode()
    elif what == "format":
        manifest = json.loads(files["manifest.json"]) | {"format": 9}
        files["manifest.json"] = json.dumps(manifest).encode()
    else:
        files[what] = b"escaped"


DAMAGE = {
    "a bit": "is damaged",
    "missing": "is damaged",
    "added": "is damaged",
    "no manifest": "no manifest",
    "odd manifest": "is damaged",
    "newer": "has the schema 0099",
    "format": "has the format 9",
    "../escaped": "no backup has",
    "/tmp/escaped": "no backup has",  # noqa: S108 - it must not be written
    "files/../../escaped": "no backup has",
    "files/./x": "no backup has",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_backup_is_refused_whole(what, home, tmp_path):
    out = tmp_path / "b.tar"
    backup(home, out)
    files = members(out)
    change(files, what)
    rewrite(out, files)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StateError, match=DAMAGE[what]):
        restore(out, tmp_path / "new")
    assert sorted(tmp_path.iterdir()) == before
    assert not Path("/tmp/escaped").exists()  # noqa: S108


def test_link_in_a_backup_is_refused(home, tmp_path):
    out = tmp_path / "b.tar"
    backup(home, out)
    with tarfile.open(out, "a") as tar:
        link = tarfile.TarInfo("files/runs/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    with pytest.raises(StateError, match="no backup has"):
        restore(out, tmp_path / "new")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_backup_that_was_cut_short(share, home, tmp_path):
    out = tmp_path / "b.tar"
    backup(home, out)
    data = out.read_bytes().rstrip(b"\0")
    out.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(StateError):
        restore(out, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_ever_replaced(home, tmp_path):
    out = tmp_path / "b.tar"
    backup(home, out)
    with pytest.raises(StateError, match="is there already"):
        backup(home, out)
    with pytest.raises(StateError, match="is not empty"):
        restore(out, home.folder)
    with pytest.raises(StateError, match="holds rows of"):
        restore(out, tmp_path / "new", database=f"sqlite:///{home.database_path}")
    (tmp_path / "empty").mkdir()
    restore(out, tmp_path / "empty")


def test_half_a_line_of_the_audit_log_is_not_taken(home, tmp_path):
    whole = home.audit.read_bytes()
    home.audit.write_bytes(whole + b'{"half')
    backup(home, tmp_path / "b.tar")
    assert members(tmp_path / "b.tar")["files/audit.jsonl"] == whole


def test_file_that_no_backup_takes_is_told(home, tmp_path):
    (home.runs / "notes ü.txt").write_text("mine")
    made = backup(home, tmp_path / "b.tar", PASSPHRASE)
    assert made.left_out == ("runs/notes ü.txt",)


def test_full_disk_leaves_no_backup(home, tmp_path):
    with pytest.raises(StateError, match="cannot be written"):
        backup(home, tmp_path / "none" / "b.tar")
    assert not (tmp_path / "none").exists()


def test_passphrase_comes_from_a_private_file_or_the_environment(tmp_path):
    path = tmp_path / "passphrase"
    path.write_bytes(b"one\ntwo\n")
    path.chmod(0o600)
    assert read_passphrase(path, {}) == b"one"
    assert read_passphrase(None, {"ISTHMUS_BACKUP_PASSPHRASE": "x"}) == b"x"
    assert read_passphrase(None, {}) is None
    path.write_bytes(b"\n")
    with pytest.raises(StateError, match="empty"):
        read_passphrase(path, {})
    path.chmod(0o644)
    with pytest.raises(KeysError, match="open to others"):
        read_passphrase(path, {})
