"""Where a platform's ledger lies unless it is said otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VARIABLE: Final = "ISTHMUS_LEDGER"


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """`$ISTHMUS_LEDGER`, else `.isthmus/ledger.sqlite` in the user's home.

    It must not depend on the folder that a command is called in: another folder would be another
    ledger, with a whole budget in it.
    """
    if named := environment.get(VARIABLE):
        return Path(named)
    return Path.home() / ".isthmus" / "ledger.sqlite"
