"""The coordinator as a process of its own.

    python -m isthmus_server.coordinator SERVER_FOLDER

Ends on SIGTERM and with its parent. Killed at any moment, the next one goes on after the last round
that has a checkpoint.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from threading import Event

from isthmus.errors import IsthmusError
from isthmus.logs import log_as_json
from isthmus.offline import stay_offline
from isthmus.supervision import stop_on_signals, stop_with_parent, turn
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import load_settings
from isthmus_server.state import open_state

_log = logging.getLogger(__name__)


def main(folder: Path) -> int:
    """Coordinate until told to stop; the exit code.

    Args:
        folder: the server's.
    """
    stay_offline()  # before Flower is imported
    log_as_json("coordinator")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells each of many requests
    stop = Event()
    stop_on_signals(stop)
    stop_with_parent(stop)
    from isthmus_server.coordinator.program import Coordinator  # noqa: PLC0415 - see above

    home = ServerHome(folder)
    try:
        settings = load_settings(home)
        with (
            turn(home.runtime, "coordinator", stop) as held,
            open_state(settings.database_url(home)) as state,
        ):
            _log.info("coordinating")
            if held:
                Coordinator(home, settings, state, stop).run()
    except IsthmusError as error:
        _log.error("%s %s", error, error.hint)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
