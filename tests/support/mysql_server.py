"""A MariaDB server of a test's own, on loopback, in a folder that goes with it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "a/secret:with@signs %and spaces"  # noqa: S105 - of a server that lives for seconds
_PATIENCE = 60.0  # seconds until it must answer
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))


@dataclass(frozen=True)
class Server:
    """A running server: its port, and SQL as its superuser."""

    port: int
    client: tuple[str, ...]

    def run(self, sql: str) -> str:
        """What the statements print."""
        done = subprocess.run(
            [*self.client, "-e", sql], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def mysql_programs() -> dict[str, str] | None:
    """{program: its path}; None = one is not installed."""
    names = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-admin")
    found = {name: shutil.which(name, path=_PATH) for name in names}
    return {name: path for name, path in found.items() if path} if all(found.values()) else None


@contextmanager
def mysql_server(programs: dict[str, str]) -> Iterator[Server]:
    """Started before, stopped and removed after."""
    folder = Path(tempfile.mkdtemp(prefix="isthmus-mysql-"))
    try:
        user = ("--user=nobody",) if os.geteuid() == 0 else ()
        if user:
            shutil.chown(folder, "nobody")
        data = ("--no-defaults", *user, f"--datadir={folder / 'data'}")
        subprocess.run(
            [programs["mariadb-install-db"], *data, "--auth-root-authentication-method=normal"],
            check=True,
            capture_output=True,
        )
        port = _free_port()
        place = f"--socket={folder / 's'}"
        words = (*data, place, f"--port={port}", "--bind-address=127.0.0.1")
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(
                [programs["mariadbd"], *words, "--innodb-flush-log-at-trx-commit=0"],
                stdout=subprocess.DEVNULL,
                stderr=log,
            ) as server,
        ):
            try:
                login = ("--no-defaults", "--default-character-set=utf8mb4", place, "-u", "root")
                _wait((programs["mariadb-admin"], *login, "ping"), server, folder / "log")
                yield Server(port, (programs["mariadb"], *login, "-N", "-B"))
            finally:
                server.terminate()
    finally:
        shutil.rmtree(folder)


def _wait(ping, server, log):
    """Until the server answers; it says nothing of itself when it is ready."""
    until = time.monotonic() + _PATIENCE
    while subprocess.run(ping, capture_output=True, check=False).returncode:
        assert server.poll() is None, log.read_text()
        assert time.monotonic() < until, "the server does not answer"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
