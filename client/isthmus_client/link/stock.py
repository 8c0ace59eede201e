"""The fallback node: Flower's own SuperNode loop, with our identity and our refusals around it.

`python -m isthmus_client.link.stock PLATFORM_TOML [OPTIONS]`, as `isthmus client up --node stock`
starts it. It polls every few seconds and starts a process for every message, which hands it to the
warm worker; a message that is under way when it is killed waits for the round's deadline. It needs
a clock that is no more than 5 s ahead of the server's.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from flwr.app import Error, Message
from flwr.common.constant import ISOLATION_MODE_PROCESS
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supernode import fleet_http_connection, start_client_internal
from flwr.supernode.cli.flower_supernode import SuperNodeLifespanConfig, _start_supernode_http_api
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.nodestate import NodeStateFactory

from isthmus.audit_log import AuditLog
from isthmus.bundle import require_known
from isthmus.errors import BundleError, IsthmusError
from isthmus.files import write_bytes
from isthmus.identity import PlatformKeys
from isthmus.identity.tls import client_context
from isthmus.logs import log_as_json
from isthmus.offline import stay_offline
from isthmus.policy import load_policy
from isthmus.supervision import stop_with_parent
from isthmus_client.bundle_app import FOLDER
from isthmus_client.home import Home
from isthmus_client.link.enrolled import audit_path, certificate_path, load_keys, tls_key_path
from isthmus_client.link.facts import facts_of
from isthmus_client.link.fleet_messages import is_stale
from isthmus_client.link.node import address_of, allowed_bundles, parsed
from isthmus_client.link.node_messages import ERROR_BASE
from isthmus_client.link.node_session import Hooks, SessionLoop
from isthmus_client.link.session import Session
from isthmus_client.vault import load_keys as load_keyring
from isthmus_client.worker.status import RUN, StatusFile

SECRET: Final = "executor.secret"  # noqa: S105 - a file's name
POLL_S: Final = "0.2"  # seconds between an executor's two looks for a message
_CONNECTION: Final[Any] = fleet_http_connection
_LOOP: Final[Any] = start_client_internal
_log = logging.getLogger(__name__)

Connection = tuple[Any, ...]
"""Flower's: node id, receive, send, get_run, get_fab, pull_object, push_object, confirm."""


def main(arguments: list[str]) -> int:
    """Work until told to stop; the exit code."""
    stay_offline()
    log_as_json("node")
    for name in ("flwr", "httpx"):  # they tell every request
        logging.getLogger(name).setLevel(logging.WARNING)
    options = parsed(arguments)
    home = Home(options.contract)
    status = StatusFile(home.federation / RUN / "node.json")
    status.tell("starting", "opening the session")
    stop_with_parent(threading.Event(), lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        _work(home, options.auto_approve, options.idle_s, status)
    except IsthmusError as error:
        status.tell("waiting", f"{error} {error.hint}".strip())
        _log.error("%s: %s %s", type(error).__name__, error, error.hint)
        return error.exit_code
    return 0


def _work(home: Home, policy: Path | None, idle_s: float, status: StatusFile) -> None:
    keys = load_keys(home, load_keyring(home.keys))
    session = Session(home, keys, idle_s=idle_s)
    joined = threading.Event()
    pair = (certificate_path(home), tls_key_path(home))
    session.open()
    context = client_context(session.enrolment.authority_pem, *pair)
    hooks = Hooks(
        opened=joined.set,
        renewed=lambda: context.load_cert_chain(*pair),  # for connections from now on
        trouble=lambda reason: status.tell("waiting" if reason else "ready", reason),
        facts=lambda: {"node": "stock", **facts_of(home)},
    )
    chosen = load_policy(policy) if policy else None
    SessionLoop(session, keys.signing, chosen, hooks, threading.Event()).start()
    note = AuditLog(audit_path(home), keys.signing).append
    with _fitted(context, idle_s, Refusals(allowed_bundles(home), note)):
        _run_supernode(home, session, keys)


class Refusals:
    """What a message is refused for before Flower's loop sees it.

    Args:
        allowed: bundles besides our own.
        note: writes a line to the platform's audit log.

    Guarantees:
        The bundle of a run that is not allowed is neither fetched nor run; a message whose deadline
        has passed is not executed.
    """

    def __init__(
        self, allowed: frozenset[str], note: Callable[[Mapping[str, Any]], object]
    ) -> None:
        self._allowed, self._note = allowed, note

    def around(self, connection: Connection) -> Connection:
        """The same connection, which receives only what may be executed."""
        node_id, receive, send, get_run, *others = connection
        push = others[2]

        def guarded() -> tuple[Message, ObjectTree] | None:
            found = receive()
            if found is None:
                return None
            message = found[0]
            if is_stale(message, ahead=0.0):
                self._refused(message, "stale", "its deadline has passed; it was not executed")
                return None
            try:
                require_known(get_run(message.metadata.run_id).fab_hash, self._allowed)
            except BundleError as error:
                self._refused(message, type(error).__name__, str(error))
                _answer(Error(ERROR_BASE + error.exit_code, "BundleError"), message, send, push)
                return None
            return (message, found[1])

        return (node_id, guarded, send, get_run, *others)

    def _refused(self, message: Message, what: str, text: str) -> None:
        body = {"kind": "message refused", "message": message.metadata.message_type}
        body |= {"flower_run": str(message.metadata.run_id), "error": what, "text": text[:500]}
        self._note(body)


def _answer(error: Error, message: Message, send: Any, push: Any) -> None:
    """Send an error reply as Flower's loop would."""
    reply = Message(error, reply_to=message)
    reply.metadata.__dict__["_message_id"] = reply.object_id
    wanted, pushing = send(reply, get_object_tree(reply), 0.0)
    for name, each in get_all_nested_objects(reply).items():
        if name in wanted:
            push(message.metadata.run_id, pushing, name, each.deflate())


@contextmanager
def _fitted(context: Any, idle_s: float, refusals: Refusals) -> Iterator[None]:
    """Flower's connection with our TLS context and refusals, as long as the context lasts."""
    original = _LOOP._init_connection  # noqa: SLF001 - held by a contract test

    class Fitted(FleetHttpClient):
        """Flower's client, which shows our certificate."""

        @classmethod
        def from_server_address(  # type: ignore[override]
            cls, server_address: str, *_others: Any, interceptors: Sequence[Any] = (), **_more: Any
        ) -> FleetHttpClient:
            url = f"https://{server_address}"
            return cls(url, interceptors=interceptors, verify=context, timeout=idle_s)

    @contextmanager
    def connection(**arguments: Any) -> Iterator[Connection]:
        with original(**arguments) as found:
            yield refusals.around(found)

    before = _CONNECTION.FleetHttpClient
    _CONNECTION.FleetHttpClient, _LOOP._init_connection = Fitted, connection  # noqa: SLF001
    try:
        yield
    finally:
        _CONNECTION.FleetHttpClient, _LOOP._init_connection = before, original  # noqa: SLF001


def _run_supernode(home: Home, session: Session, keys: PlatformKeys) -> None:
    """Flower's SuperNode, with an executor beside it; until a signal ends the process."""
    folder = home.federation / RUN
    secret, port = secrets.token_hex(32).encode(), _free_port()
    write_bytes(folder / SECRET, secret, mode=0o600)
    pair = (keys.node, keys.node.public_key())
    factory = NodeStateFactory(objectstore_factory=ObjectStoreFactory())
    common: dict[str, Any] = {
        "server_address": address_of(session),
        "root_certificates": session.enrolment.authority_pem,
        "insecure": False,
        "authentication_keys": pair,
        "max_retries": None,
        "max_wait_time": None,
        "node_config": {FOLDER: str(folder.resolve())},
        "isolation": ISOLATION_MODE_PROCESS,
        "runtime_certificates": None,
        "runtime_root_certificates_path": None,
        "health_server_address": None,
        "trusted_entities": None,
        "superexec_auth_secret": secret,
        "runtime_dependency_install": False,
    }
    _start_supernode_http_api(
        SuperNodeLifespanConfig(
            **common,
            host="127.0.0.1",
            port=port,
            runtime_ssl_certfile=None,
            runtime_ssl_keyfile=None,
        ),
        factory,
    )
    _start_executor(home, port)
    address = f"127.0.0.1:{port}"
    start_client_internal.start_client_internal(
        state_factory=factory, runtime_api_address=address, **common
    )


def _start_executor(home: Home, port: int) -> None:
    """Flower's executor, which starts a process for every message and ends with this one."""
    program = Path(sys.executable).with_name("flower-superexec")
    command = [str(program), "--insecure", "--runtime-api-address", f"127.0.0.1:{port}"]
    command += ["--superexec-auth-secret-file", str(home.federation / RUN / SECRET)]
    command += ["--parent-pid", str(os.getpid())]
    flower = (home.federation / "flower").resolve()
    environment = {"FLWR_HOME": str(flower), "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": POLL_S}
    path = f"{program.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.Popen(  # noqa: S603 - Flower's own program
        command, env={**os.environ, **environment, "PATH": path}, stdin=subprocess.DEVNULL
    )


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
