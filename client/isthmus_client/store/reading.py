"""How a contract has its tables read, to see whether stored rows were read in the same way."""

from __future__ import annotations

import json
from typing import Any

from isthmus.errors import ContractError
from isthmus.files import digest
from isthmus_client.contract.model import Contract, Table
from isthmus_client.store.manifest import Manifest

_WHERE = {"source", "table", "query", "format", "delimiter", "encoding", "credentials"}
_APART = {"behaviours", "duplicates", "labels"}  # may change, or are looked at by themselves


def reading(contract: Contract, name: str) -> str:
    """A digest of what a stored row of a table depends on besides the feed."""
    table: Table = getattr(contract, name)
    values = table.model_dump(mode="json", exclude=_WHERE | _APART)
    return _digest([values, contract.platform.time_zone])


def fingerprint(contract: Contract, name: str, content: str | None) -> str | None:
    """Of a feed's content and of all in the contract that decides which of its rows are taken."""
    if content is None:
        return None
    table: Table = getattr(contract, name)
    values = table.model_dump(mode="json", exclude=_WHERE)
    times = [contract.platform.time_zone, contract.events.time_format]
    return _digest([content, values, *times, contract.history.retention_days])


def require_same_reading(contract: Contract, manifest: Manifest) -> None:
    """That the stored events and items were read as the contract now says.

    Raises:
        ContractError: the same feed would give other rows; they would all be stored twice.
    """
    changed = [
        f"[{name}]"
        for name in ("events", "items")
        if manifest.reading.get(name, reading(contract, name)) != reading(contract, name)
    ]
    words = contract.events.behaviours
    altered = {w for w, ours in manifest.behaviours.items() if words.get(w) != ours}
    changed += ["the behaviours under [events]"] * bool(altered)
    if changed:
        raise ContractError(
            f"{' and '.join(changed)} of platform.toml changed since the store was filled: the "
            "same rows would be read as other ones",
            hint="undo the change, or read all feeds anew with --rebuild: it replaces what is "
            "stored by what they hold now",
        )


def _digest(value: Any) -> str:
    return digest(json.dumps(value, sort_keys=True).encode())
