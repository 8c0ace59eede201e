"""Flower's SuperLink inside our process: the one place that touches its internals.

Flower marks a message as delivered when it hands it out, and forgets a reply when it is fetched: a
process that is killed between that and the answer loses both. Here a message is handed out again
until its reply is stored, and a reply until the coordinator settles it, so that every call can be
repeated. Each call is one transaction; a mutex keeps them apart, as SQLite would refuse some that
meet (`database is locked`). `tests/unit/server/test_flower_contract.py` holds what is relied upon.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from flwr.app import Message
from flwr.common.constant import (
    HEARTBEAT_DEFAULT_INTERVAL,
    NOOP_ACCOUNT_NAME,
    NOOP_FLWR_AID,
    Status,
)
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as WireMessage
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.runtime_pb2 import PullAppMessagesResponse, PushAppMessagesRequest
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.supercore.fab import Fab

from isthmus.bundle import APP_ID, BUNDLE_SHA256, VERSION, bundle
from isthmus.errors import MessageRefusedError, ServiceError
from isthmus_server.flower import objects
from isthmus_server.flower.embedded import create_superlink, link_state
from isthmus_server.flower.faults import RunGoneError

MAX_TOGETHER: Final = 64 * 1024 * 1024
"""Bytes of replies handed over at once; there is always one, however large."""


@dataclass(frozen=True)
class Node:
    """A platform as Flower sees it."""

    node_id: int
    name: str
    online: bool


@dataclass(frozen=True)
class Delivery:
    """A message for a node, or a reply: without content, and its objects apart."""

    message: WireMessage
    tree: ObjectTree
    objects: tuple[bytes, ...]


class FlowerLink:
    """The SuperLink's state, and the application that serves stock Flower clients.

    Args:
        database: file of the messages under way; made where it is not.
        secret: that Flower asks of an executor of server apps; we have none.
        token: that Flower's control interface asks for.

    Raises:
        ServiceError: the database cannot be opened.
    """

    def __init__(self, database: Path, *, secret: bytes, token: str) -> None:
        database.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.app: FastAPI = create_superlink(database, secret=secret, token=token)
        except (OSError, RuntimeError, ValueError) as error:
            raise ServiceError(f"{database} cannot be opened: {error}") from error
        self._state = link_state(self.app)
        _serialise(self._state)
        self._nodes: dict[str, bytes] = {}
        self.rung: Callable[[int | str], None] = lambda _key: None  # tells who waits of news

    # Platforms

    def sync_nodes(self, keys: Mapping[str, bytes]) -> None:
        """Know exactly these platforms, each under its name; others can do nothing any more."""
        if keys == self._nodes:
            return
        known = self._state.get_node_info(owner_aids=[NOOP_FLWR_AID])
        living = {node.public_key: node for node in known if node.status != "unregistered"}
        wanted = {key: name for name, key in keys.items()}
        for key, node in living.items():
            if wanted.get(key) != node.name:
                self._state.delete_node(NOOP_FLWR_AID, node.node_id)
        for key, name in wanted.items():
            if key not in living or living[key].name != name:
                self._register(name, key)
        self._nodes = dict(keys)

    def _register(self, name: str, key: bytes) -> None:
        self._state.create_node(
            NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, key, HEARTBEAT_DEFAULT_INTERVAL, name=name
        )

    def node_id(self, key: bytes) -> int | None:
        """The node with this public key."""
        found: int | None = self._state.get_node_id_by_public_key(key)
        return found

    def release(self, key: bytes) -> None:
        """Let a node come back at once; Flower would have it wait for the end of its lease."""
        if (node := self.node_id(key)) is not None:
            self._state.deactivate_node(node)

    def nodes(self) -> tuple[Node, ...]:
        """All platforms, those that are not there too."""
        known = self._state.get_node_info(owner_aids=[NOOP_FLWR_AID])
        living = (node for node in known if node.status != "unregistered")
        return tuple(Node(each.node_id, each.name, each.status == "online") for each in living)

    # Runs

    def open_run(self) -> int:
        """A new run that is under way; every earlier one ends, and its messages are forgotten.

        Raises:
            ServiceError: Flower made none.
        """
        with self._state.session():
            for run in self._running():
                self._state.stop_run(run.run_id)
            fab = Fab(BUNDLE_SHA256, bundle(), {})
            self._state.store_app(
                fab=fab,
                federation_id=NOOP_FEDERATION_ID,
                app_id=APP_ID,
                app_type=TaskType.SERVER_APP,
                added_by=NOOP_FLWR_AID,
            )
            number = self._state.create_run(
                APP_ID.removeprefix("@"),
                VERSION,
                BUNDLE_SHA256,
                {},
                NOOP_FEDERATION_ID,
                None,
                NOOP_FLWR_AID,
                TaskType.SERVER_APP,
            )
            self._start(number)
        return int(number)

    def _start(self, number: int) -> None:
        """Claim the run's task, as an executor would, so that nobody else can."""
        found = self._state.get_run_info(run_ids=[number])
        task = found[0].primary_task_id if found else None
        if task is None or not (self._state.claim_task(task) and self._state.activate_task(task)):
            raise ServiceError("Flower did not start a run")

    def keep_alive(self) -> None:
        """Say that the run is still wanted; Flower ends one of which nothing is heard for 60 s."""
        for run in self._running():
            if run.primary_task_id is not None:
                self._state.acknowledge_task_heartbeat(run.primary_task_id)

    def _running(self) -> Sequence[Any]:
        unfinished = [Status.PENDING, Status.STARTING, Status.RUNNING]
        return list(self._state.get_run_info(statuses=unfinished))

    def _require_running(self, run: int) -> None:
        status = self._state.get_run_status({run}).get(run)
        if status is None or status.status != Status.RUNNING:
            raise RunGoneError(f"Flower's run {run} is not under way any more")

    # The coordinator's side

    def post(self, run: int, request: PushAppMessagesRequest, contents: Iterable[bytes]) -> None:
        """Store messages for nodes, all or none; those already stored are left as they are.

        Raises:
            RunGoneError: the run ended.
            MessageRefusedError: a message or object is not what Flower takes.
        """
        wires = list(request.messages_list)
        with self._state.session() as session:
            self._require_running(run)
            db = objects.connection_of(session)
            known = _stored(db, [wire.metadata.message_id for wire in wires])
            new = [wire for wire in wires if wire.metadata.message_id not in known]
            for wire in new:
                if wire.metadata.run_id != run:
                    raise MessageRefusedError("a message is of another run")
                _require_taken(self._state.store_message_ins(_message(wire)))
            objects.register(db, run, [wire.metadata.message_id for wire in new], contents)
        for wire in new:
            self.rung(wire.metadata.dst_node_id)

    def replies(self, run: int, ids: Iterable[str]) -> tuple[PullAppMessagesResponse, list[bytes]]:
        """The replies so far to these messages; the same again until they are settled.

        A node that is gone is answered for, with an error.

        Raises:
            RunGoneError: the run ended.
        """
        response, size = PullAppMessagesResponse(), 0
        found: list[bytes] = []
        with self._peek() as db:
            self._require_running(run)
            for reply in self._state.get_message_res(message_ids=set(ids), run_id=run):
                try:
                    delivery = _delivery(db, reply)
                except MessageRefusedError:
                    continue  # Flower's own node hands in a reply object by object
                response.messages_list.append(delivery.message)
                response.message_object_trees.append(delivery.tree)
                found += delivery.objects
                size += sum(map(len, delivery.objects))
                if size >= MAX_TOGETHER:
                    break
        return response, found

    def settle(self, ids: Iterable[str]) -> None:
        """Forget messages and their replies: nobody works on them or asks for them any more."""
        asked = list(ids)
        with self._state.session() as session:
            db = objects.connection_of(session)
            objects.forget(db, [*_stored(db, asked), *_replies_to(db, asked).values()])
            self._state.delete_messages(set(asked))

    # A node's side

    def next_for(self, node: int, known: Iterable[str]) -> Delivery | None:
        """The oldest message for a node that it does not know and that nobody answered."""
        seen = set(known)
        with self._peek() as db:
            waiting = self._state.get_message_ins(node, limit=None)
            answered = _replies_to(db, [message.metadata.message_id for message in waiting])
            for message in sorted(waiting, key=lambda each: each.metadata.created_at):
                if message.metadata.message_id not in seen | answered.keys():
                    return _delivery(db, message)
        return None

    def answer(self, node: int, wire: WireMessage, contents: Iterable[bytes]) -> None:
        """Store a node's reply; the first one to a message stays.

        Raises:
            RunGoneError: the run ended.
            MessageRefusedError: it answers for another node, a message that is not (or no longer)
                asked, or its objects do not match.
        """
        metadata = wire.metadata
        if metadata.src_node_id != node:
            raise MessageRefusedError("a node answered in the name of another")
        with self._state.session() as session:
            self._require_running(metadata.run_id)
            db = objects.connection_of(session)
            if not _replies_to(db, [metadata.reply_to_message_id]):
                _require_taken(self._state.store_message_res(_message(wire)))
                objects.register(db, metadata.run_id, [metadata.message_id], contents)
        self.rung("replies")

    @contextmanager
    def _peek(self) -> Iterator[sqlite3.Connection]:
        """A transaction that leaves no trace: what Flower marks as handed out is not."""
        with self._state.session() as session:
            yield objects.connection_of(session)
            session.rollback()


def _message(wire: WireMessage) -> Message:
    """What somebody sent, if it is a message at all."""
    try:
        return message_from_proto(wire)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise MessageRefusedError(f"this is no message: {type(error).__name__}") from error


def _require_taken(stored: str | None) -> None:
    """Flower logs why it takes no message."""
    if stored is None:
        raise MessageRefusedError("a message was expired, malformed, or for nobody we know")


def _delivery(db: sqlite3.Connection, message: Message) -> Delivery:
    tree, contents = objects.fetch(db, message.metadata.message_id)
    return Delivery(message_to_proto(message), tree, contents)


def _stored(db: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Which of these messages are there."""
    query = (
        "SELECT message_id FROM message_ins WHERE message_id IN (SELECT value FROM json_each(?))"
    )
    return {name for (name,) in db.execute(query, (json.dumps(list(ids)),))}


def _replies_to(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, str]:
    """The reply's name by that of the message, for those that have one."""
    query = """
        SELECT reply_to_message_id, message_id FROM message_res
        WHERE reply_to_message_id IN (SELECT value FROM json_each(?))
    """
    return dict(db.execute(query, (json.dumps(list(ids)),)))


def _serialise(state: Any) -> None:
    """Keep transactions of this process apart; nested ones are the same thread's."""
    mutex = threading.RLock()
    for part in (state, state.object_store):
        part.session = _locked(part.session, mutex)


def _locked(session: Callable[[], Any], mutex: threading.RLock) -> Callable[[], Any]:
    @contextmanager
    def locked() -> Iterator[Any]:
        with mutex, session() as inner:
            yield inner

    return locked
