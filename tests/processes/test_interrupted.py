"""Ctrl-C ends with its own code, whatever threads are within a native library just then."""

import subprocess
import sys

PROGRAM = """
import sys, threading
import torch
from isthmus import cli

begun = threading.Event()

def work():
    while True:
        torch.empty(1)  # takes Python's lock again in C++, which a finished Python does not survive
        begun.set()

def run(_):
    threading.Thread(target=work, daemon=True).start()
    begun.wait()
    print("said", end="")
    return int(sys.argv[1])

cli.run = run
cli.main()
"""


def ended(code):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_interrupted_command_says_so_while_a_thread_is_in_native_code():
    for _ in range(5):
        done = ended(130)
        assert (done.returncode, done.stdout, done.stderr) == (130, "said", "")


def test_control_such_a_thread_aborts_a_process_that_ends_in_the_usual_way():
    codes = {ended(3).returncode for _ in range(5)}
    assert -6 in codes
