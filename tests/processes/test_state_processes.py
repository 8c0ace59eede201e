"""Many processes at one state: one wins, none is lost, and kill -9 takes nothing back."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import state_program
from released_run import made_server
from state_databases import KINDS, empty_database, join, maybe_postgres, propose

from isthmus_server.state import open_state
from isthmus_server.state.backup import backup
from isthmus_server.state.restore import restore

PROGRAM = state_program.__file__


@pytest.fixture(scope="module")
def postgres():
    with maybe_postgres() as server:
        yield server


@pytest.fixture(params=KINDS)
def url(request, tmp_path):
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    return empty_database(request.param, server, tmp_path)


class Child:
    """A process that does what it is told line by line."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def hear(self):
        return self.process.stdout.readline().strip()

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.communicate()


@contextmanager
def children(*commands):
    started = [Child(*words) for words in commands]
    try:
        for each in started:
            assert each.hear() == "ready"
        yield started
    finally:
        for each in started:
            each.end()


def at_once(started):
    """Let all go, then hear each."""
    for each in started:
        each.go()
    return [each.hear() for each in started]


def test_many_open_an_empty_database_at_once(url):
    with children(*[("open_first", url)] * 4) as started:
        assert at_once(started) == ["opened"] * 4


def test_one_token_lets_one_in(url):
    with open_state(url) as state:
        token = state.invitations.create("shop", 1)
    with children(*[("use_token", url, "shop", token)] * 3) as started:
        assert sorted(at_once(started)) == ["IdentityError"] * 2 + ["joined"]


def test_of_copies_of_one_identity_none_goes_on_unnoticed(url):
    """However the openings interleave, at most one copy lives and the alarm is raised once."""
    with open_state(url) as state:
        join(state, "shop")
        state.platforms.open_session("shop", "", "t0")
        told = {"facts": {}, "audit_lines": 0, "audit_head": ""}
        state.platforms.heartbeat("shop", "t0", at=state_program.NOON, skew_s=0.0, **told)
        copies = [("open_session", url, "shop", "t0", f"copy-{n}") for n in range(3)]
        with children(*copies) as started:
            assert at_once(started) == ["opened"] * 3  # each may be the one whose answer got lost
            beats = at_once(started)
        assert beats.count("ok") <= 1
        assert beats.count("clone") == 1
        assert state.platforms.get("shop").status == "suspended"
        assert [each.kind for each in state.events.list(level="alarm")] == ["clone"]


@pytest.mark.parametrize("kills", [4])
def test_killed_at_any_moment_nothing_committed_is_lost(url, kills):
    with open_state(url) as state:
        propose(state)
        heard = 0
        for number in range(kills):
            with children(("commit", url, "run-1", heard + 1)) as (child,):
                child.go()
                for _ in range(3 + 2 * number):
                    heard = int(child.hear().split()[0])
                child.process.kill()
                for line in child.process.stdout:  # what it had said when it died
                    if line.endswith("\n"):
                        heard = int(line.split()[0])
            rounds = [each.round for each in state.rounds.list("run-1")]
            assert rounds == list(range(1, len(rounds) + 1))
            assert heard <= len(rounds) <= heard + 1  # the last may be committed and not yet said
            assert state.runs.get("run-1").round == len(rounds)


def test_two_that_commit_the_same_rounds_count_each_once(url):
    with open_state(url) as state:
        propose(state)
        with children(*[("commit", url, "run-1", 1)] * 2) as started:
            for each in started:
                each.go()
            said = [each.hear() for _ in range(5) for each in started]
        wins = [line.split()[0] for line in said if line.endswith("True")]
        assert len(wins) == len(set(wins))
        rounds = [each.round for each in state.rounds.list("run-1")]
        assert rounds == list(range(1, len(rounds) + 1))


def test_what_a_dead_process_locked_is_free_again(tmp_path):
    path = Path(tmp_path / "state.sqlite")
    with open_state(path) as state:
        propose(state)
    code = (
        "import sys; from pathlib import Path; from isthmus_server.state.database import connect\n"
        "with connect(Path(sys.argv[1])).write() as c:\n"
        " c.exec_driver_sql(\"UPDATE runs SET reason = 'half'\")\n"
        " print('ready', flush=True); sys.stdin.readline()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "ready\n"
    finally:
        holder.kill()
        holder.communicate()
    with open_state(path) as state:
        assert state.runs.get("run-1").reason.startswith("waits for")
        state.runs.want("run-1", "pause")


def test_backup_of_a_server_at_work_is_of_one_moment(url, tmp_path):
    """Each round's file is there for each round's row, however the two fall together."""
    home = made_server(tmp_path / "server", url)
    with open_state(url) as state:
        propose(state)
    words = ("commit_with_files", url, "run-1", home.rounds("run-1"), 20_000)
    with children(words) as (writer,):
        writer.go()
        for number in range(2):
            seen = int(writer.hear().split()[0])
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
