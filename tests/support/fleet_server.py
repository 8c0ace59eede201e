"""A server's folder with approved platforms, and its processes."""

import contextlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from waiting import until

from isthmus.identity import (
    Authority,
    PlatformKeys,
    certificate_request,
    new_tls_key,
    platform_of,
    private_pem,
)
from isthmus.identity.tls import client_context
from isthmus_server.new_server import create_server
from isthmus_server.ports import announced
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings
from isthmus_server.state import open_state

SETTINGS = Settings(
    listen="127.0.0.1",
    enrolment_port=0,
    control_port=0,
    fleet_port=0,
    private_port=0,
    health_port=0,
    retry_s=0.1,
)


@dataclass
class Platform:
    name: str
    keys: PlatformKeys
    folder: Path
    ca: bytes

    @property
    def context(self):
        """A new TLS context each time, as after a rotation."""
        return client_context(self.ca, self.folder / "tls.pem", self.folder / "tls.key")


class TestServer:
    """The folder; processes that are started are ended with it."""

    __test__ = False

    def __init__(self, folder: Path, names: str = "abc", settings: Settings = SETTINGS):
        self.home = ServerHome(folder / "server")
        create_server(self.home, settings)
        self.authority = Authority.open(self.home.authority)
        self.state = open_state(settings.database_url(self.home))
        self.children: list[subprocess.Popen[bytes]] = []
        self.platforms = {name: self.join(folder / name, name) for name in names}

    def join(self, folder: Path, name: str, authority: Authority | None = None) -> Platform:
        platform = issued(authority or self.authority, folder, name)
        if authority is None:
            public = platform.keys.public
            self.state.platforms.add(
                name,
                signing=public.signing,
                node_key=public.node,
                fingerprint=public.fingerprint,
                csr=b"",
            )
            self.state.platforms.set_status(name, "approved", "test")
            pem = (platform.folder / "tls.pem").read_bytes()
            says = platform_of(pem)
            serial = f"{says.serial:x}"
            self.state.platforms.set_certificate(name, pem, serial, says.not_after)
        return platform

    def start(self, module: str) -> subprocess.Popen[bytes]:
        log = (self.home.logs / f"{module}.log").open("ab")
        with log:
            child = subprocess.Popen(
                [sys.executable, "-m", f"isthmus_server.{module}", str(self.home.folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self.children.append(child)
        return child

    def superlink(self) -> subprocess.Popen[bytes]:
        """A SuperLink that answers."""
        (self.home.runtime / "private.token").unlink(missing_ok=True)
        child = self.start("flower.superlink")
        self.link = child
        until(lambda: self._up(child), 60, f"the SuperLink: {self.log('flower.superlink')}")
        return child

    def _up(self, child) -> bool:
        assert child.poll() is None, self.log("flower.superlink")
        log = self.log("flower.superlink")
        return log.count('"event": "listening"') >= len(
            [each for each in self.children if "superlink" in str(each.args)]
        )

    def log(self, module: str) -> str:
        path = self.home.logs / f"{module}.log"
        return path.read_text() if path.exists() else ""

    def port(self, name: str = "fleet") -> int:
        return announced(self.home).get(name, 0)

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10)
            child.kill()
            child.wait(10)
            child.stdin.close()
        self.state.close()


def issued(authority: Authority, folder: Path, name: str) -> Platform:
    """A platform with a certificate of an authority."""
    folder.mkdir(parents=True, exist_ok=True)
    key = new_tls_key()
    (folder / "tls.key").write_bytes(private_pem(key))
    request = certificate_request(name, key)
    (folder / "tls.pem").write_bytes(authority.issue_platform(request, name, 1))
    return Platform(name, PlatformKeys.fresh(), folder, authority.certificate_pem)
