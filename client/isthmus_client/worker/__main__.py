"""The worker as a process: `python -m isthmus_client.worker PLATFORM_TOML`.

It ends at SIGTERM, after the message that it works on if that takes no longer than a few seconds,
and when the supervisor dies.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path
from typing import Final

from isthmus.errors import IsthmusError
from isthmus.logs import log_as_json
from isthmus.offline import stay_offline
from isthmus.supervision import stop_on_signals, stop_with_parent, turn
from isthmus_client.home import Home
from isthmus_client.worker.channel import ChannelServer
from isthmus_client.worker.status import RUN, StatusFile

GRACE_S: Final = 5.0  # for the message that is worked on when the worker is told to stop
_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Serve until told to stop; the exit code."""
    stay_offline()  # before any library reads the environment
    log_as_json("worker")
    stop = threading.Event()
    stop_on_signals(stop)
    stop_with_parent(stop)
    home = Home(Path(arguments[0]))
    status = StatusFile(home.federation / RUN / "worker.json")
    try:
        with turn(home.federation / RUN, "worker", stop) as held:
            status.tell("starting", "loading the libraries and the data")
            return _serve(home, status, stop) if held else 0
    except IsthmusError as error:
        status.tell("waiting", f"{error} {error.hint}".strip(), error=type(error).__name__)
        _log.error("%s: %s %s", type(error).__name__, error, error.hint)
        return error.exit_code


def _serve(home: Home, status: StatusFile, stop: threading.Event) -> int:
    from isthmus_client.worker.composing import compose  # noqa: PLC0415 - seconds of import

    made = compose(home, status)
    channel = ChannelServer(home.federation / RUN)
    channel.start(made.serving)
    status.tell("ready")
    warming = threading.Thread(target=made.warm_up, name="warm-up", daemon=True)
    warming.start()
    stop.wait()
    status.tell("stopped", "told to stop")
    done = channel.close(GRACE_S)
    warming.join(GRACE_S)
    if done and not warming.is_alive():
        made.close()
        return 0
    _log.warning("stopped in the middle of work; a message is handed out again")
    logging.shutdown()
    os._exit(0)  # PyTorch's threads would abort the interpreter's own way out


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
