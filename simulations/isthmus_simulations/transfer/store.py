"""Finished cells on disk, a folder each, so that an interrupted benchmark goes on.

    cells/SCENARIO-SEED/values.npz   values per user
    cells/SCENARIO-SEED/cell.json    everything else, the identity and the digest of values.npz

`cell.json` is written last and names the digest of the values, so that a cell is either whole or
absent: a damaged or half-written one is computed again. There is no pickle in it.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from isthmus.errors import ResumeError
from isthmus.files import digest, write_bytes, write_text
from isthmus_simulations.transfer.facts import Cell, CellFacts, PlatformValues
from isthmus_simulations.transfer.identity import Identity

FORMAT: Final = 1  # raised when an older reader would misread a cell
_VALUES, _FACTS = "values.npz", "cell.json"


@dataclass(frozen=True)
class CellStore:
    """The finished cells of one benchmark."""

    folder: Path

    def path(self, scenario: str, seed: int) -> Path:
        """A cell's folder."""
        return self.folder / f"{scenario}-{seed}"

    def write(self, cell: Cell, identity: Identity) -> None:
        """Keep a cell.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        path = self.path(cell.facts.scenario, cell.facts.seed)
        values = _packed(cell.values)
        write_bytes(path / _VALUES, values)
        body = {"format": FORMAT, "identity": identity, "values_sha256": digest(values)}
        whole = {**body, "facts": cell.facts.model_dump(mode="json")}
        write_text(path / _FACTS, json.dumps(whole, indent=2, allow_nan=False) + "\n")

    def read(self, scenario: str, seed: int, identity: Identity) -> Cell | None:
        """A cell of that identity; None where there is none, or a damaged one.

        Raises:
            ResumeError: the cell that is there has another identity; names the differences.
        """
        path = self.path(scenario, seed)
        body = _body(path / _FACTS)
        if body is None:
            return None
        _require_same(body["identity"], identity, path)
        return _whole(path, body)

    def clear(self) -> None:
        """Delete every cell."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _body(path: Path) -> dict[str, Any] | None:
    """What stands in `cell.json`; None where it is absent, damaged or of another format."""
    try:
        body = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    whole = isinstance(body, dict) and body.get("format") == FORMAT
    named = whole and {"identity", "values_sha256", "facts"} <= body.keys()
    return body if named and isinstance(body["identity"], dict) else None


def _whole(path: Path, body: dict[str, Any]) -> Cell | None:
    """The cell if its values are the ones that `cell.json` was written for."""
    try:
        data = (path / _VALUES).read_bytes()
        if digest(data) != body["values_sha256"]:
            return None
        return Cell(CellFacts.model_validate_json(json.dumps(body["facts"])), _unpacked(data))
    except (FileNotFoundError, ValidationError, zipfile.BadZipFile, ValueError, KeyError):
        return None


def _packed(values: dict[str, PlatformValues]) -> bytes:
    """One .npz with PLATFORM/ARRAY members."""
    arrays = {
        f"{platform}/{name}": array
        for platform, found in values.items()
        for name, array in asdict(found).items()
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def _unpacked(data: bytes) -> dict[str, PlatformValues]:
    names = [field.name for field in fields(PlatformValues)]
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        platforms = dict.fromkeys(member.rpartition("/")[0] for member in arrays.files)
        return {
            platform: PlatformValues(**{name: arrays[f"{platform}/{name}"] for name in names})
            for platform in platforms
        }


def _require_same(found: Identity, wanted: Identity, path: Path) -> None:
    """Refuse to mix cells that were made differently; name every difference."""
    wanted = json.loads(json.dumps(wanted))  # tuples are lists there
    names = sorted(found.keys() | wanted.keys())
    odd = [n for n in names if found.get(n) != wanted.get(n)]
    if odd:
        said = "; ".join(f"{n} {_short(found.get(n))} → {_short(wanted.get(n))}" for n in odd)
        raise ResumeError(
            f"{path} was computed otherwise: {said}",
            hint="choose another --out, or --restart to compute every cell anew",
        )


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= 40 else f"{digest(text.encode())[:8]}…"  # noqa: PLR2004 - columns
