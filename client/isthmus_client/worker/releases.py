"""Where releases lie that a platform fetched."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from isthmus_client.home import Home

ENCODER: Final = "encoder.safetensors"


def releases_folder(home: Home) -> Path:
    """A folder for each release."""
    return home.federation / "releases"


def release_of(home: Home, sha256: str) -> Path | None:
    """The encoder of a release, by the hash of its file; None = it was not fetched."""
    for path in sorted(releases_folder(home).glob(f"*/{ENCODER}")):
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    return None
