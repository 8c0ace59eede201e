"""Ingests in processes of their own, to be killed at any point.

    python ingest_program.py kill FOLDER KILLS SEED
    python ingest_program.py race FOLDER PROCESSES WAIT
    python ingest_program.py full FOLDER BYTES

`kill` starts an ingest, kills it with SIGKILL after a random time, looks at what is left, and
starts the next on the same store; the last one is left alone. The feed grows before each. It prints
what it saw, as JSON. `race` starts ingests at the same time. Processes are forked, so that they
start within milliseconds; nothing is read before a fork that would start threads. `full` takes a
feed in, and its growth where no file may be larger than so many bytes: the disk is full.
"""

import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path

from ingest_cases import ITEMS, KEYS, NOW, contract, rows_of, take_in, write_events, write_items

from isthmus.errors import StoreBusyError, StoreError
from isthmus_client.store import Store

ROWS = 12_000
GROWTH = 700


def rows(count):
    """Deterministic events over ten months, some of them twice."""
    chance = random.Random(11)  # noqa: S311 - made-up shoppers
    found = []
    for _ in range(count):
        user = f"shopper-{chance.randrange(700)}"
        found.append((user, chance.choice(ITEMS), NOW - chance.randrange(300) * 86_400))
    return found


def forked(work):
    """A process of its own that does `work` and ends with its answer."""
    child = os.fork()
    if child == 0:
        try:
            code = work()
        except BaseException as error:  # noqa: BLE001 - the parent must hear of it
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(code)
    return child


def ended(child):
    return os.waitpid(child, 0)[1]


def ingest(folder, **options):
    """0 where it changed the store, 3 where nothing was new."""
    result = take_in(folder, contract(folder), accept_rejected=True, **options)
    counts = [f.read == f.added + f.updated + f.already + f.rejections for f in result.feeds]
    return (0 if result.changed else 3) if all(counts) else 4


def look(folder, answer):
    """Write down what the store holds; in a process of its own, as it starts threads."""
    with Store.open(folder / "store", KEYS, writable=False) as store:
        manifest = store.manifest
        named = manifest.files()
    stored = rows_of(folder) if manifest.segments else []
    answer.write_text(
        json.dumps(
            {
                "generation": manifest.generation,
                "events": manifest.events,
                "rows": len(stored),
                "distinct": len(set(stored)),
                "missing": [n for n in named if not (folder / "store/segments" / n).exists()],
                "orphans": len(list((folder / "store/segments").iterdir())) - len(named),
            }
        )
    )
    return 0


def seen(folder):
    answer = folder / "answer.json"
    assert ended(forked(lambda: look(folder, answer))) == 0
    return json.loads(answer.read_text())


def kill(folder, kills, seed):
    """The story of a platform whose machine fails again and again."""
    chance, story, size, longest = random.Random(seed), [], ROWS, 0.0  # noqa: S311 - when to kill is no secret
    write_items(folder)
    write_events(folder, rows(size))
    first = ended(forked(lambda: ingest(folder)))
    while sum(one["killed"] for one in story) < kills and len(story) < 3 * kills:
        size += GROWTH
        write_events(folder, rows(size))
        started = time.perf_counter()
        child = forked(lambda: ingest(folder))
        if story:
            time.sleep(chance.uniform(0.0, longest))
            os.kill(child, signal.SIGKILL)
        killed = os.WIFSIGNALED(ended(child))
        if not story:  # the first is left alone: it says how long one takes
            longest = time.perf_counter() - started
        story.append({"killed": killed, "size": size, **seen(folder)})
    last = ended(forked(lambda: ingest(folder)))
    return {"first": first, "story": story, "last": last, "size": size, "end": seen(folder)}


def race(folder, processes, wait):
    """Several ingests at once; how each ended."""
    write_items(folder)
    write_events(folder, rows(ROWS))

    def work():
        try:
            return ingest(folder, wait=float(wait))
        except StoreBusyError as error:
            sys.stderr.write(f"{error}\n")
            return error.exit_code

    children = [forked(work) for _ in range(processes)]
    return {"codes": [os.waitstatus_to_exitcode(ended(c)) for c in children], **seen(folder)}


def full(folder, most):
    """An ingest that runs out of space; what it says, and what is left."""
    write_items(folder)
    write_events(folder, rows(ROWS))
    first = ended(forked(lambda: ingest(folder)))
    before = seen(folder)
    write_events(folder, rows(ROWS + GROWTH))

    def work():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        try:
            return ingest(folder)
        except StoreError as error:
            sys.stderr.write(f"{error}\n{error.hint}\n")
            return error.exit_code

    code = os.waitstatus_to_exitcode(ended(forked(work)))
    return {"first": first, "before": before, "code": code, "after": seen(folder)}


def main():
    verb, folder, *numbers = sys.argv[1:]
    found = {"kill": kill, "race": race, "full": full}[verb](Path(folder), *map(int, numbers))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
