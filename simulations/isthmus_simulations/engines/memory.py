"""Flower's Grid inside one process: real messages, real serialisation, no network and no Ray.

A message is serialised to bytes and every platform parses its own copy, so that nothing that can
change is shared between server and platforms. A content that goes to many is serialised once.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from flwr.app import Context, Error, Message, RecordDict, UserConfig
from flwr.app.message.message import make_message
from flwr.clientapp import ClientApp
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.proto.node_pb2 import NodeInfo
from flwr.proto.recorddict_pb2 import RecordDict as RecordDictProto
from flwr.serverapp import Grid, ServerApp
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from isthmus_server.flower.records import tensors_of, without_tensors

NUM_PARTITIONS = "num-partitions"
PARTITION_ID = "partition-id"
_FIRST_NODE = 2  # Flower keeps 0 for nobody and 1 for the SuperLink
_LOOK_S = 0.2  # seconds at most between two looks for replies
_ID_LENGTH = 36  # characters, as Flower's ids have, so that messages are as long as Flower's
_log = logging.getLogger(__name__)


@dataclass
class _Node:
    """One platform: its name, its context, and a lock so that it does one thing at a time."""

    info: NodeInfo
    context: Context
    busy: threading.Lock = field(default_factory=threading.Lock)


class MemoryGrid(Grid):
    """Carries messages to a ClientApp in a pool of threads.

    A platform's result must not depend on what other threads do: its trainer owns its random
    generator, and the caller sets PyTorch to one thread per operation.

    Args:
        client_app: handles every message; its exceptions become Flower error replies.
        platforms: names, in the order of the partition ids in the contexts.
        workers: platforms that work at the same time.
        run_id: a positive number.
    """

    def __init__(
        self, client_app: ClientApp, platforms: Sequence[str], *, workers: int = 2, run_id: int = 1
    ) -> None:
        self._client_app = client_app
        self._run = Run.create_empty(run_id)
        self._nodes = {
            _FIRST_NODE + place: _node(place, name, len(platforms), run_id)
            for place, name in enumerate(platforms)
        }
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="platform")
        self._numbers = itertools.count(1)
        self._replies: dict[str, Future[Message]] = {}

    def set_run(self, run: Run) -> None:
        """Flower's way to say which run this is."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run that messages belong to."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message to one node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Every node, always online."""
        return list(self._nodes)

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Every node with its platform's name."""
        return [node.info for node in self._nodes.values()]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Hand the messages to the threads; returns at once with the messages' ids."""
        contents: dict[
            int, tuple[RecordDict, _Parcel]
        ] = {}  # keeps the content, so ids stay unique
        ids: list[str] = []
        for message in messages:
            content = message.content
            if id(content) not in contents:
                contents[id(content)] = (content, _packed(content))
            parcel = contents[id(content)][1]
            message.metadata.__dict__["_message_id"] = f"{next(self._numbers):0{_ID_LENGTH}d}"
            ids.append(message.metadata.message_id)
            self._replies[ids[-1]] = self._pool.submit(self._deliver, message, parcel)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that are there by now; each is handed out once."""
        done = [i for i in message_ids if i in self._replies and self._replies[i].done()]
        return [self._replies.pop(message_id).result() for message_id in done]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """The replies that came within `timeout` seconds (None = wait for all).

        A platform that has not begun by then never will; what a late one answers is dropped.
        """
        seconds = None if timeout is None else float(timeout)
        return [reply for news in self.stream(messages, timeout=seconds) for reply in news]

    def stream(
        self, messages: Iterable[Message], *, timeout: float | None
    ) -> Generator[Sequence[Message], None, None]:
        """The replies as they come, several times a second, up to `timeout` seconds (None = all).

        A platform that has not begun by then never will; what a late one answers is dropped, as it
        is where the stream is closed before.
        """
        ids = list(self.push_messages(messages))
        until = math.inf if timeout is None else time.monotonic() + timeout
        try:
            while ids:
                left = max(min(until - time.monotonic(), _LOOK_S), 0.0)
                waiting = [self._replies[message_id] for message_id in ids]
                wait(waiting, left, return_when=FIRST_COMPLETED)
                ready = [message_id for message_id in ids if self._replies[message_id].done()]
                ids = [message_id for message_id in ids if message_id not in ready]
                yield list(self.pull_messages(ready))
                if time.monotonic() >= until:
                    return
        finally:
            for message_id in ids:
                self._replies.pop(message_id).cancel()

    def close(self) -> None:
        """Wait for platforms at work and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _deliver(self, message: Message, parcel: _Parcel) -> Message:
        """One platform's reply to its own copy of a message."""
        node = self._nodes[message.metadata.dst_node_id]
        received = make_message(message.metadata, content=_unpacked(parcel))
        with node.busy:
            try:
                reply = self._client_app(received, node.context)
            except Exception as error:  # noqa: BLE001 - as in Flower: a reply, not the run's end
                _log.exception("the client app of %s raised", node.info.name)
                reason = type(error).__name__
                return Message(
                    Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=received
                )
        if reply.has_error():
            return reply
        return make_message(reply.metadata, content=_unpacked(_packed(reply.content)))


def run_in_memory(
    server_app: ServerApp, client_app: ClientApp, platforms: Sequence[str], *, workers: int = 2
) -> None:
    """Run both apps in this process until the server's is done.

    Raises:
        Exception: what the server app raised, unchanged.
    """
    run_id = 1
    TaskIdentity.run_id = run_id  # Flower fills every message's metadata from these
    TaskIdentity.task_id = 1
    TaskIdentity.node_id = SUPERLINK_NODE_ID
    grid = MemoryGrid(client_app, platforms, workers=workers, run_id=run_id)
    try:
        server_app(grid, Context(run_id, SUPERLINK_NODE_ID, {}, RecordDict(), {}))
    finally:
        grid.close()


def _node(place: int, name: str, platforms: int, run_id: int) -> _Node:
    node_id = _FIRST_NODE + place
    config: UserConfig = {PARTITION_ID: place, NUM_PARTITIONS: platforms}
    return _Node(
        NodeInfo(node_id=node_id, name=name), Context(run_id, node_id, config, RecordDict(), {})
    )


@dataclass(frozen=True)
class _Parcel:
    """A content on its way: protobuf bytes, and the tensors' bytes beside them.

    `bytes` cannot change, so the tensors' need no copy for nothing to be shared.
    """

    frame: bytes
    tensors: tuple[bytes, ...]


def _packed(content: RecordDict) -> _Parcel:
    frame = recorddict_to_proto(without_tensors(content)).SerializeToString()
    return _Parcel(frame, tuple(tensors_of(content)))


def _unpacked(parcel: _Parcel) -> RecordDict:
    content = recorddict_from_proto(RecordDictProto.FromString(parcel.frame))
    supply = iter(parcel.tensors)
    for record in content.array_records.values():
        for array in record.values():
            array.data = next(supply)
    return content
