"""A platform that spends from its ledger, as processes of its own, to be killed at any point.

    python ledger_program.py kill FOLDER KILLS SEED
    python ledger_program.py race FOLDER PROCESSES ROUNDS
    python ledger_program.py spend FOLDER ROUNDS
    python ledger_program.py look FOLDER

`kill` starts a worker, kills it with SIGKILL after a random time, looks at what is left, and starts
the next one on the same files; it prints what it saw, as JSON. The worker does what a platform
does: it reserves a round, stores the round's bytes, commits their hash, and appends the hash to the
file of all that left. Workers are forked, so that they start within milliseconds.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from isthmus.errors import LedgerError
from isthmus.files import digest, write_bytes
from isthmus.privacy.events import Event
from isthmus.privacy.filter import RdpFilter
from isthmus_client.ledger import Key, Ledger

KEY = Key("shop")
EVENT = Event(noise_multiplier=900.0, sampling_rate=0.01)
BASE = "b" * 64


def opened(folder):
    return Ledger(folder / "ledger.sqlite", epsilon=50.0, delta=1e-6)


def leave(folder, fingerprint):
    """The bytes are gone; nothing can take them back."""
    descriptor = os.open(folder / "left.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{fingerprint}\n".encode())
    os.fsync(descriptor)
    os.close(descriptor)


def play(folder, run, rounds):
    """Rounds of one run; those that left before leave again, with the very same bytes."""
    with opened(folder) as ledger:
        for number in range(rounds):
            kept = folder / f"{run}-{number}.bytes"
            before = ledger.released(KEY, run, number, base=BASE)
            if before is not None and kept.exists() and digest(kept.read_bytes()) == before:
                ledger.resend(KEY, run, number, before, base=BASE)
                leave(folder, before)
                continue
            reservation = ledger.reserve(KEY, run, number, EVENT, base=BASE)
            noised = os.urandom(64)
            write_bytes(kept, noised)
            ledger.commit(reservation, digest(noised))
            leave(folder, digest(noised))


def left(folder):
    path = folder / "left.txt"
    return path.read_text().split() if path.exists() else []


def warm():
    """Load what workers would load one by one: the accountants take a second."""
    RdpFilter.opened(50.0, 1e-6).admits(EVENT)


def forked(work):
    """A process of its own that does `work` and ends."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the parent must hear of it
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return child


def looked_at(folder):
    """What the ledger holds, found by a process that never wrote to it."""
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        entries = ledger.entries()
        charged = sum(row.kind == "reserve" for row in entries)
        committed = [row.fingerprint for row in entries if row.kind == "commit"]
        resent = sum(row.kind == "resend" for row in entries)
    return {"charged": charged, "committed": committed, "resent": resent}


def spent(folder):
    """Epsilon charged so far."""
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return ledger.spent(KEY, "rdp")


def kill(folder, kills, seed):
    """The story of a platform that never lives for long."""
    warm()
    chance, story = random.Random(seed), []  # noqa: S311 - when to kill is no secret
    if not (folder / "ledger.sqlite").exists():
        opened(folder).close()
    for number in range(kills):
        child = forked(lambda run=f"run-{number // 8}": play(folder, run, 10_000))
        time.sleep(chance.uniform(0.002, 0.12))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        found = looked_at(folder)
        story.append(
            {
                "killed": os.WIFSIGNALED(status),
                "charged": found["charged"],
                "spent": spent(folder),
                "resent": found["resent"],
                "uncharged": sorted(set(left(folder)) - set(found["committed"])),
                "left": len(left(folder)),
            }
        )
    return story


def race(folder, processes, rounds):
    """Several runs at once, all of which make the ledger if it is not there."""
    warm()
    children = [forked(lambda run=f"run-{n}": play(folder, run, rounds)) for n in range(processes)]
    failed = [os.waitpid(child, 0)[1] for child in children]
    found = looked_at(folder)
    return {
        "failed": sum(map(bool, failed)),
        "charged": found["charged"],
        "uncharged": sorted(set(left(folder)) ^ set(found["committed"])),
    }


def spend(folder, rounds):
    """Some rounds in this process; where the ledger ends, and how it failed if it did."""
    try:
        play(folder, "run", rounds)
    except LedgerError as error:
        return {"error": str(error), "hint": error.hint}
    return {"error": None, "left": len(left(folder))}


def main():
    verb, folder, *numbers = sys.argv[1:]
    verbs = {"kill": kill, "race": race, "spend": spend, "look": looked_at}
    found = verbs[verb](Path(folder), *map(int, numbers))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
