"""What is measured of an ingest, each in a fresh process: seconds, CPU seconds and peak memory."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Literal

from isthmus.errors import FederationError, ScenarioError
from isthmus.progress import Silent
from isthmus_client.contract.model import Contract, EventsTable, ItemsTable
from isthmus_client.relations import connect
from isthmus_client.store import Store, ingest
from isthmus_client.store.items import item_rows
from isthmus_client.store.sequences import build
from isthmus_client.vault import Keyring

Work = Literal["scan", "ingest", "sequences", "open"]

NOW: Final = 1_735_689_600  # a year after the last event of the generated feeds
MEGABYTE: Final = 2**20
WARM_UP: Final = "warm-up"  # folder of a very small platform
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")

_KEYS: Final = Keyring(*(bytes([number]) * 32 for number in range(1, 5)))  # of made-up shoppers
_SCAN: Final = (
    "CREATE TEMP TABLE sorted AS SELECT * FROM read_parquet($file) ORDER BY user_id, timestamp"
)


@dataclass(frozen=True)
class Figures:
    """One run.

    Attributes:
        seconds: on the clock.
        cpu_seconds: of all threads.
        megabytes: peak of the resident memory, above that before the run.
    """

    seconds: float
    cpu_seconds: float
    megabytes: float


def measured(work: Work, folder: Path, threads: int) -> Figures:
    """Do one work in a process of its own that may use so many cores.

    Raises:
        ScenarioError: the system is not Linux, which alone tells a process its peak memory; or it
            has fewer cores.
        FederationError: the process died, as where there is too little memory.
    """
    if not RESET.exists():
        raise ScenarioError("memory and cores are measured on Linux only")
    if threads > len(os.sched_getaffinity(0)):
        raise ScenarioError(f"--threads has {threads}, there are {len(os.sched_getaffinity(0))}")
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(work, folder, threads, there))
    process.start()
    there.close()
    try:
        found: Figures = here.recv()
    except EOFError as error:
        raise FederationError(
            f"the process that measured {work!r} died", hint="give smaller --events"
        ) from error
    finally:
        process.join()
    return found


def _child(work: Work, folder: Path, threads: int, answer: Connection) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    run: dict[Work, Callable[[Path], None]] = {
        "scan": _scan,
        "ingest": _ingest,
        "sequences": _sequences,
        "open": _open,
    }
    if work == "ingest":
        shutil.rmtree(folder / "store", ignore_errors=True)
    _warm_up(folder / WARM_UP, run)
    RESET.write_text("5")  # the peak starts anew; `getrusage` would tell the parent's
    before = _status("VmRSS")
    started, worked = time.perf_counter(), time.process_time()
    run[work](folder)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - worked
    more = max(_status("VmHWM") - before, 0)  # the kernel counts pages in batches
    answer.send(Figures(seconds, cpu_seconds, more / MEGABYTE))


def _warm_up(folder: Path, run: dict[Work, Callable[[Path], None]]) -> None:
    """Everything once on very few events: the first time loads libraries."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    for work in run.values():
        work(folder)


def _scan(folder: Path) -> None:
    with connect() as connection:
        connection.execute(f"SET threads = {len(os.sched_getaffinity(0))}")
        connection.execute(_SCAN, {"file": str(folder / "events.parquet")})


def _ingest(folder: Path) -> None:
    contract = Contract(
        events=EventsTable(source="events.parquet"),
        items=ItemsTable(source="items.parquet"),
        folder=folder,
    )
    with Store.open(folder / "store", _KEYS, writable=True) as store:
        ingest(contract, folder, store, Silent(), now=NOW)


def _sequences(folder: Path) -> None:
    """Build and seal them again, from the segments."""
    with Store.open(folder / "store", _KEYS, writable=True) as store:
        months = [store.segments.read_sorted(month.file) for month in store.manifest.segments]
        built = build(months, store.pseudonyms(), item_rows(store.items()), timed=True)
        store.segments.write("sequences", built.data)


def _open(folder: Path) -> None:
    with Store.open(folder / "store", _KEYS, writable=False) as store:
        store.tables()


def _status(name: str) -> int:
    """A size in Linux's account of this process, in bytes."""
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024
