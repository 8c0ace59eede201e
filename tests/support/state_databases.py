"""Empty databases for the server's state: SQLite files, and a real PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from pathlib import Path
from urllib.parse import quote

import pytest
from postgres_server import PASSWORD, Server, postgres_folder, postgres_server

KINDS = ("sqlite", "postgresql")
_numbers = count(1)


@contextmanager
def maybe_postgres() -> Iterator[Server | None]:
    """A PostgreSQL, or None where none is installed."""
    programs = postgres_folder()
    with nullcontext() if programs is None else postgres_server(programs) as server:
        yield server


def empty_database(kind: str, server: Server | None, folder: Path) -> str:
    """The URL of a database that holds nothing."""
    if kind == "sqlite":
        return f"sqlite:///{folder / f'state-{next(_numbers)}.sqlite'}"
    if server is None:
        pytest.skip("PostgreSQL is not installed")
    name = f"state_{next(_numbers)}"
    server.run(f"CREATE DATABASE {name}")
    return postgres_url(server, name)


def postgres_url(server: Server, name: str, password: str = PASSWORD) -> str:
    return f"postgresql://owner:{quote(password, safe='')}@127.0.0.1:{server.port}/{name}"


def join(state, name: str, *, approve: bool = True, **more):
    """A platform in the roster."""
    keys = {"signing": name.encode().ljust(32, b"s"), "node_key": name.encode()} | more
    row = state.platforms.add(name, fingerprint=f"SHA256:{name}", csr=b"csr", **keys)
    return state.platforms.set_status(name, "approved", "ok") if approve else row


def propose(state, run: str = "run-1"):
    """A run in the state."""
    return state.runs.propose(
        run, contract=b'{"rounds":7}', contract_sha256="5c" * 32, signature=b"signed"
    )
