"""A backup that is killed, and a disk without room."""

import resource
import subprocess
import sys

import pytest
import state_program
from released_run import made_server

from isthmus_server.state.backup import backup
from isthmus_server.state.restore import restore


@pytest.fixture
def home(tmp_path):
    return made_server(tmp_path / "server")


def test_killed_backup_leaves_no_file_under_its_name(home, tmp_path):
    out = tmp_path / "b.tar"
    words = (sys.executable, state_program.__file__, "backup_slowly", home.folder, out)
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"  # in the middle of the archive
        assert [each.name for each in tmp_path.glob(".b.tar.*")]
    finally:
        process.kill()
        process.communicate()
    assert not out.exists()
    backup(home, out)
    restore(out, tmp_path / "new", database=f"sqlite:///{tmp_path}/x.sqlite")


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
