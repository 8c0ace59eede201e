"""A PostgreSQL server of a test's own, on loopback, in a folder that goes with it."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "a/secret:with@signs %and spaces"  # noqa: S105 - of a server that lives for seconds
_DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class Server:
    """A running server: its port, and SQL as its superuser."""

    port: int
    psql: tuple[str, ...]

    def run(self, sql: str) -> str:
        """What the statements print."""
        done = subprocess.run(
            [*self.psql, "-c", sql],
            env={**os.environ, "PGPASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def postgres_folder() -> Path | None:
    """Where its programs are; None = it is not installed."""
    versions = sorted(_DEBIAN.glob("*/bin/initdb"))
    found = shutil.which("initdb") or (versions[-1] if versions else None)
    return None if found is None else Path(found).resolve().parent


@contextmanager
def postgres_server(programs: Path) -> Iterator[Server]:
    """Started before, stopped and removed after; it refuses to be root, so that it is nobody."""
    who = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="isthmus-postgres-"))
    try:
        (folder / "password").write_text(PASSWORD)
        if who:
            shutil.chown(folder, "nobody")
            shutil.chown(folder / "password", "nobody")
        port = _free_port()
        _call(
            who,
            folder,
            programs / "initdb",
            "-D",
            "data",
            "-U",
            "owner",
            "-A",
            "scram-sha-256",
            "--pwfile=password",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        options = f"-p {port} -k '{folder}' -c listen_addresses=127.0.0.1 -c fsync=off"
        control = (programs / "pg_ctl", "-D", "data", "-w", "-l", "log")
        _call(who, folder, *control, "-o", options, "start")
        try:
            psql = (
                str(programs / "psql"),
                "-h",
                "127.0.0.1",
                "-p",
                str(port),
                "-U",
                "owner",
                "-d",
                "postgres",
                "-v",
                "ON_ERROR_STOP=1",
                "-qtA",
            )
            yield Server(port, psql)
        finally:
            _call(who, folder, *control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _call(who, folder, *words):
    done = subprocess.run(
        list(map(str, words)),
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **who,
    )
    assert done.returncode == 0, done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
