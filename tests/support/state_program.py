"""What processes do to one state at the same time; started by tests, one task a call."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from isthmus.errors import IsthmusError
from isthmus.files import write_bytes
from isthmus_server.state import open_state

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def say(*words: object) -> None:
    """A line that the test hears at once."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def ready() -> None:
    """Say so, and wait until the test lets all go at once."""
    say("ready")
    sys.stdin.readline()


def open_first(url: str) -> None:
    """Open the state when all others do."""
    ready()
    open_state(url).close()
    say("opened")


def open_session(url: str, name: str, previous: str, new: str) -> None:
    """Use one ticket, and live with the new one for a heartbeat."""
    with open_state(url) as state:
        ready()
        reply = state.platforms.open_session(name, previous, new)
        say(reply)
        sys.stdin.readline()
        told = {"facts": {}, "audit_lines": 0, "audit_head": ""}
        say(state.platforms.heartbeat(name, new, at=NOON, skew_s=0.0, **told))


def use_token(url: str, name: str, token: str) -> None:
    """Join with a token that others have too."""
    with open_state(url) as state:
        ready()
        keys = {"signing": os.urandom(32), "node_key": os.urandom(8)}
        try:
            state.platforms.enrol(token, name, fingerprint="f", csr=b"", **keys)
        except IsthmusError as error:
            say(type(error).__name__)
        else:
            say("joined")


def commit(url: str, run: str, first: str) -> None:
    """Commit rounds for ever; each number is printed once it is committed."""
    with open_state(url) as state:
        ready()
        number = int(first)
        while True:
            values = {"record": {"n": number}, "fingerprint": f"{number:064d}", "seconds": 0.5}
            say(number, state.rounds.commit(run, number, 0, **values))
            number += 1


def commit_with_files(url: str, run: str, folder: str, size: str) -> None:
    """Like `commit`, each round's file before its row, as the coordinator does."""
    with open_state(url) as state:
        ready()
        for number in range(1, 60):
            write_bytes(Path(folder) / f"round-{number:05d}.safetensors", os.urandom(int(size)))
            values = {"record": {}, "fingerprint": f"{number:064d}", "seconds": 0.5}
            say(number, state.rounds.commit(run, number, 0, **values))


class Waiting:
    """A progress that never goes on."""

    @contextmanager
    def track(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """Wait at the first step."""
        del label, total
        yield lambda _steps: ready()


def backup_slowly(home: str, out: str) -> None:
    """Begin a backup, and stop in it."""
    from isthmus_server.server_home import ServerHome  # noqa: PLC0415 - other tasks start faster
    from isthmus_server.state.backup import backup  # noqa: PLC0415

    backup(ServerHome(Path(home)), Path(out), progress=Waiting())


if __name__ == "__main__":
    TASKS = (open_first, open_session, use_token, commit, commit_with_files, backup_slowly)
    {each.__name__: each for each in TASKS}[sys.argv[1]](*sys.argv[2:])
