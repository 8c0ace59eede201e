"""Nothing that we depend on calls home, looks for updates or installs anything at run time.

Libraries read these variables when they are imported, so `stay_offline` comes first in a program.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Final

OFFLINE: Final = {
    "DO_NOT_TRACK": "1",  # the common wish not to be tracked, read by several tools
    "FLWR_TELEMETRY_ENABLED": "0",  # Flower posts an event at the start and end of each process
    "FLWR_DISABLE_UPDATE_CHECK": "1",  # Flower asks for newer versions
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",  # Flower installs an app's dependencies
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",  # models come from installed packages or folders
    "HF_DATASETS_OFFLINE": "1",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # despite its name: Ray listens on loopback alone
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray reports its usage
    "RAY_USAGE_STATS_PROMPT_ENABLED": "0",  # and prints about it
    "TOKENIZERS_PARALLELISM": "false",  # its threads and a process that forks do not mix
    "TRANSFORMERS_OFFLINE": "1",
}
"""Environment variable to value."""


def stay_offline(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set every variable of `OFFLINE`, whatever it was before; child processes inherit them."""
    environment.update(OFFLINE)
