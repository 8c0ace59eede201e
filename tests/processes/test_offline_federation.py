"""A federation opens no socket to any other machine."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[1] / "support" / "federation_program.py"


def run(code_or_program, *options):
    return subprocess.run(
        [sys.executable, *code_or_program, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROGRAM.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_federation_in_memory_reaches_nobody(tmp_path):
    done = run([PROGRAM, tmp_path], "--loopback-only")
    assert done.returncode == 0, done.stderr
    assert "REACHED OUT" not in done.stderr


def test_the_watch_would_see_it():
    code = (
        "from federation_program import watch_sockets; watch_sockets();"
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
    )
    done = run(["-c", code])
    assert done.returncode == 99
    assert "REACHED OUT" in done.stderr
