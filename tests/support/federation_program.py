# ruff: noqa: PLC0415 - Flower reads the environment when it is imported, so it is imported late
"""A federation of toys as a program of its own, to be killed, watched or compared.

    python federation_program.py FOLDER [--engine ray] [--die train:2|before:2|between:2|after:2]
                                 [--optimiser NAME] [--loopback-only]

Prints the final fingerprint, then each platform's last score.
"""

import argparse
import sys
from pathlib import Path

from isthmus.offline import stay_offline


def watch_sockets() -> None:
    """End the program when a socket is opened to anything but this machine."""

    def look(event, args):
        if event not in {"socket.connect", "socket.sendto", "socket.getaddrinfo"}:
            return
        address = args[1] if event.startswith("socket.c") or event.endswith("sendto") else args
        host = address[0] if isinstance(address, tuple) else "localhost"  # a path: a local socket
        if host not in {"127.0.0.1", "::1", "localhost", "", None, "0.0.0.0"}:  # noqa: S104
            sys.stderr.write(f"REACHED OUT: {event} {address}\n")
            sys.exit(99)

    sys.addaudithook(look)


def reachable_ports(record) -> None:  # noqa: ARG001 - called after each round
    """End the program when Ray listens beyond loopback; addresses are hexadecimal in /proc."""
    inodes = {}
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            inodes[str(path.readlink())] = (path.parents[1] / "cmdline").read_text()
        except OSError:
            continue  # it ended while we looked
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, address, _, state, *_, inode = line.split()[:10]
            owner = inodes.get(f"socket:[{inode}]", "")
            if state == "0A" and "ray" in owner and "0100007F" not in address:
                sys.stderr.write(f"LISTENS: {address} {owner}\n")
                sys.exit(98)


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", default="memory")
    parser.add_argument("--die", default="")
    parser.add_argument("--optimiser", default="fedadam")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--loopback-only", action="store_true")
    return parser.parse_args()


def main() -> None:
    asked = options()
    stay_offline()
    if asked.loopback_only:
        watch_sockets()
    play(asked)


def play(asked) -> None:
    from toy_platforms import INITIAL, DiesOnce, DyingStore, server_config, toy_from_folder, toys

    from isthmus_server.checkpoints import CheckpointStore
    from isthmus_server.optimisers import server_optimiser
    from isthmus_simulations.engines.platforms import FolderOutboxes
    from isthmus_simulations.engines.runner import run_federation

    store, platforms = CheckpointStore(asked.folder / "rounds"), toys("a", "b", "c")
    marker = asked.folder / "died"
    point, _, number = asked.die.partition(":")
    if point == "train":
        platforms[1] = DiesOnce(
            "b", platforms[1].users, platforms[1].target, round=int(number), marker=marker
        )
    elif point:
        store = DyingStore(store.folder, round=int(number), point=point, marker=marker)
    if asked.engine == "ray":
        given = {
            "folders": [asked.folder / name for name in ("a", "bb", "ccc")],
            "trainer_factory": toy_from_folder,
        }
    else:
        given = {"trainers": platforms}
    config = server_config(rounds=asked.rounds, optimiser=server_optimiser(asked.optimiser))
    result = run_federation(
        asked.engine,
        server_config=config,
        initial=INITIAL,
        store=store,
        outboxes=FolderOutboxes(asked.folder / "receipts"),
        workers=asked.workers,
        resume=True,
        on_round=reachable_ports if asked.loopback_only else lambda _: None,
        **given,
    )
    sys.stdout.write(f"{result.final.fingerprint()}\n{result.validation[-1]}\n")


if __name__ == "__main__":
    main()
