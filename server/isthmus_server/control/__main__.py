"""`python -m isthmus_server.control FOLDER`: the control service as a process of its own."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

from isthmus.errors import IsthmusError
from isthmus.logs import log_as_json
from isthmus.supervision import stop_on_signals, stop_with_parent
from isthmus_server.control.service import main

_log = logging.getLogger(__name__)


def _run(folder: Path) -> int:
    """Serve until SIGTERM, Ctrl-C or the end of standard input; the exit code."""
    log_as_json("control")
    stop = threading.Event()
    stop_on_signals(stop)
    stop_with_parent(stop)
    try:
        main(folder, stop)
    except IsthmusError as error:
        _log.error("%s", error, extra={"hint": error.hint})
        return error.exit_code
    _log.info("the control service has stopped")
    return 0


if __name__ == "__main__":
    raise SystemExit(_run(Path(sys.argv[1])))
