"""A backup while other processes write, a backup that is killed, and a disk without room."""

import resource
import subprocess
import sys

import pytest
import state_program
from released_run import made_server
from state_databases import KINDS, empty_database, maybe_postgres, propose

from isthmus_server.settings import load_settings
from isthmus_server.state import open_state
from isthmus_server.state.backup import backup
from isthmus_server.state.restore import restore


@pytest.fixture(scope="module")
def postgres():
    with maybe_postgres() as server:
        yield server


@pytest.fixture(params=KINDS)
def home(request, tmp_path):
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made = made_server(tmp_path / "server", empty_database(request.param, server, tmp_path))
    with open_state(load_settings(made).database) as state:
        propose(state)
    return made


def start(task, *words, **more):
    command = [sys.executable, state_program.__file__, task, *map(str, words)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, **more)


def end(process):
    process.kill()
    process.communicate()


def test_backup_of_a_server_at_work_is_of_one_moment(home, tmp_path):
    """Each round's file is there for each round's row, however the two fall together."""
    url = load_settings(home).database
    writer = start("commit_with_files", url, "run-1", home.rounds("run-1"), 20_000)
    try:
        assert writer.stdout.readline() == "ready\n"
        writer.stdin.write("go\n")
        writer.stdin.flush()
        for number in range(2):
            seen = int(writer.stdout.readline().split()[0])
            out, folder = tmp_path / f"{number}.tar", tmp_path / f"new-{number}"
            backup(home, out)
            restore(out, folder, database=f"sqlite:///{tmp_path}/{number}.sqlite")
            with open_state(tmp_path / f"{number}.sqlite") as state:
                rounds = [each.round for each in state.rounds.list("run-1")]
                assert state.runs.get("run-1").round == len(rounds) >= seen
            assert rounds == list(range(1, len(rounds) + 1))
            for each in rounds:
                path = folder / "runs" / "run-1" / "rounds" / f"round-{each:05d}.safetensors"
                assert path.stat().st_size == 20_000
    finally:
        end(writer)


@pytest.mark.parametrize("home", ["sqlite"], indirect=True)
def test_killed_backup_leaves_no_file_under_its_name(home, tmp_path):
    out = tmp_path / "b.tar"
    process = start("backup_slowly", home.folder, out)
    try:
        assert process.stdout.readline() == "ready\n"  # in the middle of the archive
        assert [each.name for each in tmp_path.glob(".b.tar.*")]
    finally:
        end(process)
    assert not out.exists()
    backup(home, out)
    restore(out, tmp_path / "new", database=f"sqlite:///{tmp_path}/x.sqlite")


@pytest.mark.parametrize("home", ["sqlite"], indirect=True)
def test_disk_without_room_is_told_and_nothing_stays(home, tmp_path):
    path = home.rounds("run-1") / "round-00001.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 300_000)
    small = (64 * 1024, 64 * 1024)
    done = subprocess.run(
        [sys.executable, "-m", "isthmus", "server", "backup", "b.tar", "--home", home.folder],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, small),
    )
    assert done.returncode == 25, done.stderr
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*b.tar*"))
