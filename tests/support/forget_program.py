"""Persons forgotten in processes of their own, to be killed at any point.

    python forget_program.py kill FOLDER ROUNDS SEED
    python forget_program.py race FOLDER

`kill` forgets two persons at a time, kills the process with SIGKILL at or soon after one of several
points, looks at what is left, starts the store anew, looks again, and goes on with the same two or
the next; it prints what it saw, as JSON. `race` forgets some and takes feeds in at the same time.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from forgetting_cases import forgotten, full_contract, hashed, request, write_tables
from ingest_cases import KEYS, rows_of, take_in, write_events, write_items
from ingest_program import ended, forked, rows

from isthmus_client.forgetting import load_receipt, look
from isthmus_client.store import Store

ROWS = 3_000
_LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT


def fill(folder):
    write_items(folder)
    write_events(folder, rows(ROWS))
    write_tables(folder)
    take_in(folder, full_contract(folder), accept_rejected=True)
    return 0


def pair(number):
    return (f"shopper-{2 * number}", f"shopper-{2 * number + 1}")


def persons(folder):
    """{pseudonym: events} of all that is stored."""
    counts = {}
    for row in rows_of(folder):
        counts[row[0]] = counts.get(row[0], 0) + 1
    return counts


def state(folder, number):
    """What the store holds now, above all of the pair that is to go."""
    with Store.open(folder / "store", KEYS, writable=False) as store:
        manifest = store.manifest
        found = {path.name for path in store.segments.folder.iterdir()}
        tables = store.tables()
    stored, gone = persons(folder), [each.hex() for each in hashed(*pair(number))]
    return {
        "generation": manifest.generation,
        "events": sum(stored.values()),
        "counted": manifest.events,
        "users": len(stored),
        "sequences": len(tables.histories.user_ids),
        "pair": [stored.get(each, 0) for each in gone],
        "forgotten": sorted(manifest.forgotten),
        "missing": sorted(manifest.files() - found),
        "orphans": sorted(found - manifest.files()),
        "receipts": sorted(path.name for path in (folder / "receipts").glob("*")),
    }


def started_anew(folder, number):
    """What there is, and what there is once the next process that writes has come and looked."""
    left = state(folder, number)
    look(request(folder, *pair(number)))
    receipts = [load_receipt(path) for path in (folder / "receipts").glob("*.json")]
    after = state(folder, number)
    return {"left": left, "after": after, "receipted": sorted(r.pseudonym for r in receipts)}


def seen(folder, number):
    """That, from a process of its own, as it starts threads."""
    answer = folder / "answer.json"

    def work():
        answer.write_text(json.dumps(started_anew(folder, number)))
        return 0

    assert ended(forked(work)) == 0
    return json.loads(answer.read_text())


def forget(folder, number):
    forgotten(folder, *pair(number))
    return 0


def names(folder):
    return {path.name for path in folder.iterdir()}


def moments(folder):
    """{what has happened: whether it has}: points at which a process may be killed."""
    segments, receipts = folder / "store/segments", folder / "receipts"
    old, manifest = names(segments), (folder / "store/manifest").stat().st_ino
    valid = names(receipts)
    return {
        "began": lambda: True,
        "a month written": lambda: bool(names(segments) - old),
        "five files written": lambda: len(names(segments) - old) > 4,
        "a receipt begun": lambda: len(names(receipts)) > len(valid),
        "both receipts written": lambda: len(names(receipts)) > len(valid) + 1,
        "the generation changed": lambda: (folder / "store/manifest").stat().st_ino != manifest,
        "an old file deleted": lambda: bool(old - names(segments)),
        "a receipt valid": lambda: any(n.endswith(".json") for n in names(receipts) - valid),
    }


def kill(folder, rounds, seed):
    """The story of a platform whose machine fails whenever somebody is to be forgotten."""
    chance, story, number = random.Random(seed), [], 1  # noqa: S311 - when to kill is no secret
    assert ended(forked(lambda: fill(folder))) == 0
    (folder / "receipts").mkdir()
    before = seen(folder, number)["after"]
    for when in [when for _ in range(rounds) for when in moments(folder)]:
        happened = moments(folder)[when]
        child = forked(lambda number=number: forget(folder, number))
        while not happened() and not os.waitid(os.P_PID, child, _LOOK):
            pass
        time.sleep(chance.choice([0.0, 0.0, 0.001, 0.005]))
        os.kill(child, signal.SIGKILL)
        died = os.WIFSIGNALED(ended(child))
        story.append({"when": when, "killed": died, "before": before, **seen(folder, number)})
        before = story[-1]["after"]
        number += not any(before["pair"])
    return {"story": story}


def race(folder):
    """Two who forget and one who takes in, all of which wait for one another."""
    assert ended(forked(lambda: fill(folder))) == 0
    write_events(folder, rows(ROWS + 700))

    def work(number):
        forgotten(folder, *pair(number), wait=60.0)
        return sum(map(len, look(request(folder, *pair(number), wait=60.0))))

    def ingest():
        take_in(folder, full_contract(folder), accept_rejected=True, wait=60.0)
        return 0

    children = [forked(lambda: work(0)), forked(ingest), forked(lambda: work(1))]
    codes = [os.waitstatus_to_exitcode(ended(child)) for child in children]
    return {"codes": codes, "pairs": [seen(folder, n) for n in (0, 1)]}


def main():
    verb, folder, *numbers = sys.argv[1:]
    found = {"kill": kill, "race": race}[verb](Path(folder), *map(int, numbers))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
