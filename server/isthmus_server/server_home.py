"""Where a server's things lie: all in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT: Final = Path("isthmus-server")
"""The folder's usual name, looked for where a command is called."""


@dataclass(frozen=True)
class ServerHome:
    """The folder of one operator's server.

    Attributes:
        folder: made by `isthmus server init`, mode 0700.
    """

    folder: Path = DEFAULT

    @property
    def config(self) -> Path:
        """Addresses, ports, the database, lifetimes."""
        return self.folder / "server.toml"

    @property
    def authority(self) -> Path:
        """The federation's certificate authority: `ca.pem` and `ca.key`."""
        return self.folder / "ca"

    @property
    def tls(self) -> Path:
        """The server's own certificate: `server.pem` and `server.key`."""
        return self.folder / "tls"

    @property
    def identity(self) -> Path:
        """`signing.key`, which signs contracts, releases and the audit log."""
        return self.folder / "identity"

    @property
    def database_path(self) -> Path:
        """The state, where no other database is configured."""
        return self.folder / "state.sqlite"

    @property
    def flower_database(self) -> Path:
        """The messages under way; Flower's own."""
        return self.folder / "flower.sqlite"

    @property
    def runs(self) -> Path:
        """A folder for each run, with its checkpoints in `rounds`."""
        return self.folder / "runs"

    @property
    def releases(self) -> Path:
        """Signed encoders."""
        return self.folder / "releases"

    @property
    def audit(self) -> Path:
        """The server's hash-chained log."""
        return self.folder / "audit.jsonl"

    @property
    def logs(self) -> Path:
        """What the processes say."""
        return self.folder / "logs"

    @property
    def runtime(self) -> Path:
        """Ports and secrets of the processes that run now."""
        return self.folder / "run"

    def rounds(self, run: str) -> Path:
        """The checkpoints of a run."""
        return self.runs / run / "rounds"
