"""A server's control service on loopback, and platforms that join it."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from control_keys import KEYRING, keys_of

from isthmus.identity import Authority
from isthmus_client.home import Home
from isthmus_client.link.enrolment import collect, join
from isthmus_client.link.session import Session
from isthmus_server.control.service import Running, serve
from isthmus_server.new_server import create_server
from isthmus_server.roster import Roster
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings
from isthmus_server.state import State, open_state


def settings(**values):
    ports = dict.fromkeys(("enrolment", "control", "fleet", "private", "health"), 0)
    given = {f"{name}_port": port for name, port in ports.items()}
    return Settings(listen="127.0.0.1", heartbeat_s=0.2, **{**given, **values})


@dataclass
class Server:
    """A server of a test: its folder, state and, where it runs, its ports."""

    home: ServerHome
    settings: Settings
    state: State
    running: Running | None = field(default=None)

    @property
    def roster(self):
        return Roster(self.home, self.settings, self.state)

    @property
    def ports(self):
        return self.running.ports

    def start(self):
        authority = Authority.open(self.home.authority)
        self.running = serve(self.home, self.state, authority, self.settings)

    def invitation(self, name="shop", hours=1.0):
        return self.roster.invite(name, hours)

    def row(self, name="shop"):
        return self.state.platforms.get(name)

    def kinds(self, level=None):
        return [each.kind for each in self.state.events.list(level=level)]


@contextmanager
def control_server(folder: Path, **values):
    """A control service in this process, stopped after."""
    home = ServerHome(folder / "server")
    made = settings(**values)
    create_server(home, made)
    with open_state(made.database_url(home)) as state:
        server = Server(home, made, state)
        server.start()
        try:
            yield server
        finally:
            server.running.stop()


def platform_home(folder: Path, name="shop"):
    home = Home(folder / name / "platform.toml")
    home.folder.mkdir(parents=True)
    return home


def joined(server: Server, folder: Path, name="shop", *, approved=True):
    """A platform's home that has joined, and holds a certificate where approved."""
    home = platform_home(folder, name)
    made = join(home, KEYRING, server.invitation(name).to_code())
    if approved:
        server.roster.approve(name, made.enrolment.fingerprint)
        assert collect(home, keys_of(home)).status == "approved"
    return home


def session(home: Home, **values):
    return Session(home, keys_of(home), **values)


def copied(home: Home, name="copy"):
    """All that a thief of the machine's disk has."""
    target = home.folder.parent / name
    shutil.copytree(home.folder, target)
    return Home(target / home.contract.name)


def log_lines(path: Path):
    return [json.loads(each) for each in path.read_bytes().splitlines()]
