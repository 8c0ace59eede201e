"""Peak memory of a step in a process of its own, above what stood before it."""

from __future__ import annotations

import multiprocessing
import warnings
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from isthmus.errors import FederationError, ScenarioError
from isthmus_simulations.benchmark_dp_sides import Side, step_of
from isthmus_simulations.benchmark_dp_work import Work

WARM_UP = 2  # users of the step that loads the libraries
STEPS = 2
MEGABYTE = 2**20
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_megabytes(side: Side, work: Work) -> float:
    """Peak of the resident memory in two steps, above that after a step of two users.

    Raises:
        ScenarioError: the system is not Linux, which alone tells a process its peak.
        FederationError: the process died, as where there is too little memory.
    """
    if not RESET.exists():
        raise ScenarioError("peak memory is measured on Linux only", hint="use --no-memory")
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(side, work, there))
    process.start()
    there.close()
    try:
        found: float = here.recv()
    except EOFError as error:
        raise FederationError(
            f"{side} with {work.users} users: the process that measures memory died",
            hint="give smaller --batches, or leave memory out with --no-memory",
        ) from error
    finally:
        process.join()
    return found


def _measure(side: Side, work: Work, answer: Connection) -> None:
    """In the process of its own."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step_of(side, replace(work, users=WARM_UP))()
        step = step_of(side, work)
        RESET.write_text("5")  # the peak starts anew; `getrusage` would tell the parent's
        before = _status("VmRSS")
        for _ in range(STEPS):
            step()
        answer.send((_status("VmHWM") - before) / MEGABYTE)


def _status(name: str) -> int:
    """A size in Linux's account of this process, in bytes."""
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
