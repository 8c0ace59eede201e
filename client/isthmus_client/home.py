"""Where a platform's things lie: all beside its `platform.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONTRACT: Final = Path("platform.toml")
"""The contract's usual name, looked for in the folder that a command is called in."""


@dataclass(frozen=True)
class Home:
    """The folder of one platform.

    Attributes:
        contract: its `platform.toml`.
    """

    contract: Path = CONTRACT

    @property
    def folder(self) -> Path:
        """From which the contract's relative paths are seen."""
        return self.contract.parent

    @property
    def keys(self) -> Path:
        """`platform.key` and `keyring.json`."""
        return self.folder / "keys"

    @property
    def store(self) -> Path:
        """The pseudonymised events, sealed."""
        return self.folder / "store"

    @property
    def heads(self) -> Path:
        """The private models, sealed."""
        return self.folder / "heads"

    @property
    def reports(self) -> Path:
        """What checks found."""
        return self.folder / "reports"

    @property
    def receipts(self) -> Path:
        """Signed receipts of persons forgotten."""
        return self.folder / "receipts"

    @property
    def federation(self) -> Path:
        """What this platform has to do with its federation: identity, contracts, ledger, logs."""
        return self.folder / "federation"
