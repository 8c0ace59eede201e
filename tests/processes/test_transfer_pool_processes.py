"""A benchmark that is killed leaves nobody at work."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

SUPPORT = Path(__file__).parents[1] / "support"
PROGRAM = """
import sys
from pool_tasks import tick
from isthmus.progress import Silent
from isthmus_simulations.transfer.pool import run_tasks
run_tasks(tick, {"cell": sys.argv[1]}, workers=1, progress=Silent())
"""


def test_a_task_ends_when_its_parent_is_killed(tmp_path):
    pipe = tmp_path / "began"
    os.mkfifo(pipe)
    path = os.pathsep.join([str(SUPPORT), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, pipe], env={**os.environ, "PYTHONPATH": path}
    ) as parent:
        child = int(pipe.read_text())  # waits until the task writes its process's number
        watched = os.pidfd_open(child)
        parent.send_signal(signal.SIGKILL)
    ended, _, _ = select.select([watched], [], [], 60)  # readable once the process has ended
    os.close(watched)
    assert ended
