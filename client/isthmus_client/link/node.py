"""The node as a process: `python -m isthmus_client.link.node PLATFORM_TOML [OPTIONS]`.

It carries messages between the server and the warm worker, and keeps the session with the control
service. It reads no data of the platform. It ends at SIGTERM and when the supervisor dies; killed
at any moment it goes on where it was, as the server hands out a message until it is answered.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import threading
from pathlib import Path
from typing import Final

from isthmus.audit_log import AuditLog
from isthmus.errors import BundleError, IsthmusError
from isthmus.identity import PlatformKeys
from isthmus.identity.tls import client_context
from isthmus.logs import log_as_json
from isthmus.offline import stay_offline
from isthmus.policy import Policy, load_policy
from isthmus.supervision import stop_on_signals, stop_with_parent
from isthmus_client.home import Home
from isthmus_client.link.enrolled import audit_path, certificate_path, load_keys, tls_key_path
from isthmus_client.link.facts import facts_of
from isthmus_client.link.fleet import FleetLink
from isthmus_client.link.fleet_http import Ahead
from isthmus_client.link.node_loop import FleetLoop
from isthmus_client.link.node_messages import Parts
from isthmus_client.link.node_session import Hooks, SessionLoop
from isthmus_client.link.session import Session
from isthmus_client.vault import load_keys as load_keyring
from isthmus_client.worker.channel import WorkerChannel
from isthmus_client.worker.status import RUN, StatusFile

ALLOWED: Final = "bundles.txt"
"""In `federation/`: SHA-256 of bundles that are allowed besides our own, one a line."""

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Work until told to stop; the exit code."""
    stay_offline()
    log_as_json("node")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells every request
    stop = threading.Event()
    stop_on_signals(stop)
    stop_with_parent(stop)
    died = end_with_threads(stop)
    options = parsed(arguments)
    home = Home(options.contract)
    status = StatusFile(home.federation / RUN / "node.json")
    status.tell("starting", "opening the session")
    try:
        _work(home, options, status, stop)
    except IsthmusError as error:
        status.tell("waiting", f"{error} {error.hint}".strip())
        _log.error("%s: %s %s", type(error).__name__, error, error.hint)
        return error.exit_code
    return int(died.is_set())


def end_with_threads(stop: threading.Event) -> threading.Event:
    """Have the process end where one of its threads does by an error that nobody foresaw.

    It is started again; without one of its threads it would live on, and do nothing.

    Args:
        stop: set then.

    Returns:
        Set as well.
    """
    died = threading.Event()

    def told(args: threading.ExceptHookArgs) -> None:
        where = args.thread.name if args.thread is not None else "unknown"
        _log.error("the thread %s ended by %s", where, args.exc_type.__name__)
        if args.exc_value is not None:
            _log.error("which came about so", exc_info=args.exc_value)
        died.set()
        stop.set()

    threading.excepthook = told
    return died


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options: `contract`, `auto_approve`, `idle_s`."""
    parser = argparse.ArgumentParser(prog="isthmus_client.link.node")
    parser.add_argument("contract", type=Path)
    parser.add_argument("--auto-approve", type=Path, default=None)
    parser.add_argument("--idle-s", type=float, default=60.0)
    return parser.parse_args(arguments)


def _work(
    home: Home, options: argparse.Namespace, status: StatusFile, stop: threading.Event
) -> None:
    policy: Policy | None = load_policy(options.auto_approve) if options.auto_approve else None
    keys = load_keys(home, load_keyring(home.keys))
    session = Session(home, keys, idle_s=options.idle_s)
    joined = threading.Event()
    node: list[SessionLoop] = []
    link = fleet_link(home, session, keys, options.idle_s, lambda: node[0].ahead_s)

    def round_done() -> None:
        node[0].beat_soon()

    parts = Parts(
        link=link,
        worker=WorkerChannel(home.federation / RUN),
        status=status,
        note=AuditLog(audit_path(home), keys.signing).append,
        allowed=allowed_bundles(home),
        stop=stop,
        round_done=round_done,
    )
    hooks = _hooks(home, session, link, joined, status)
    node.append(SessionLoop(session, keys.signing, policy, hooks, stop))
    number = home.federation / RUN / "node.number"
    loop = FleetLoop(parts, number, joined, node[0].reopen)
    node[0].start()
    loop.start()
    stop.wait()
    loop.leave()
    session.close()
    status.tell("stopped", "told to stop")


def fleet_link(
    home: Home,
    session: Session,
    keys: PlatformKeys,
    idle_s: float,
    ahead: Ahead,
) -> FleetLink:
    """The platform's connection to the fleet listener.

    Args:
        home: of the certificate.
        session: knows the server.
        keys: the platform's.
        idle_s: in which no byte moves, after which a request is given up.
        ahead: seconds by which this machine's clock is ahead.
    """
    authority = session.enrolment.authority_pem
    return FleetLink(
        address_of(session),
        keys.node,
        lambda: client_context(authority, certificate_path(home), tls_key_path(home)),
        idle_s=idle_s,
        ahead=ahead,
    )


def address_of(session: Session) -> str:
    """Of the fleet listener, as the server told it last; port 0 = it told none yet."""
    enrolment = session.enrolment
    host = f"[{enrolment.server}]" if ":" in enrolment.server else enrolment.server
    return f"{host}:{enrolment.ports.get('fleet', 0)}"


def _hooks(
    home: Home, session: Session, link: FleetLink, joined: threading.Event, status: StatusFile
) -> Hooks:
    told = StatusFile(home.federation / RUN / "control.json")

    def opened() -> None:
        link.move(address_of(session))
        joined.set()

    def trouble(reason: str) -> None:
        told.tell("waiting" if reason else "ready", reason)
        if reason and not joined.is_set():
            status.tell("waiting", reason)

    return Hooks(opened, link.renew, trouble, lambda: facts_of(home))


def allowed_bundles(home: Home) -> frozenset[str]:
    """Hashes of bundles that the platform's owner allows besides our own.

    Raises:
        BundleError: a line of the file is no hash.
    """
    path = home.federation / ALLOWED
    lines = path.read_text().split() if path.exists() else []
    if odd := [line for line in lines if not _HASH.fullmatch(line)]:
        raise BundleError(f"{path}: {odd[0][:70]!r} is no SHA-256", hint="64 hexadecimal digits")
    return frozenset(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
