"""Flower's Grid between the coordinator and the SuperLink's process.

Flower's own (`HttpGrid`) sleeps 3 s between two looks, needs a request for each tensor, loses a
reply when it dies on the way, and ends its process when it is not let in. This one waits for news,
moves all in one request, and repeats each call until it is answered.
"""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import closing
from typing import Final

from flwr.app import Error, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.app.message.message import make_message
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as WireMessage
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.node_pb2 import NodeInfo
from flwr.proto.runtime_pb2 import PullAppMessagesResponse, PushAppMessagesRequest
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_id,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from google.protobuf.message import DecodeError

from isthmus_server.flower.faults import InterruptedWaitError, RunGoneError
from isthmus_server.flower.private_link import PrivateLink

_LOOK_S: Final = 1.0  # for which the SuperLink holds a call that waits for replies
_MALFORMED = (
    ArithmeticError,
    AttributeError,
    DecodeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)  # by which Flower's decoding of hostile bytes may end
_log = logging.getLogger(__name__)


class RemoteGrid(Grid):
    """Carries messages through the SuperLink.

    Args:
        link: to its process.
        interrupt: asked between two looks; a reason to give up waiting, or "".
        allowed: platforms that may be told, at the time of asking; None = all.

    Guarantees:
        A reply is taken from the node that the message went to, once, and while it is waited for;
        whatever else a node sends is left alone. A reply that cannot be decoded becomes an error
        reply of that node.
    """

    def __init__(
        self,
        link: PrivateLink,
        interrupt: Callable[[], str] = lambda: "",
        allowed: Callable[[], Collection[str]] | None = None,
    ) -> None:
        self._link, self._interrupt, self._allowed = link, interrupt, allowed
        self._run: Run | None = None

    def renew(self) -> None:
        """Open a new run of Flower's; whatever is under way is forgotten."""
        self.set_run(Run.create_empty(self._link.open_run()))

    def set_run(self, run: Run) -> None:
        """Messages belong to this run from now on."""
        self._run = run
        TaskIdentity.run_id, TaskIdentity.node_id = run.run_id, SUPERLINK_NODE_ID
        TaskIdentity.task_id = 1  # Flower's messages ask for one; nothing uses it here

    @property
    def run(self) -> Run:
        """The run that messages belong to; opened where there is none yet."""
        if self._run is None:
            self.renew()
        assert self._run is not None
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message to a node; `Message(...)` does the same."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """The platforms that are there."""
        return [node.node_id for node in self.get_nodes()]

    def get_nodes(self) -> Iterable[NodeInfo]:
        """The platforms that are there, each with its name."""
        _ = self.run  # messages to them can be made from now on
        found = self._link.nodes()
        if self._allowed is not None:
            names = {*self._allowed()}
            found = tuple(node for node in found if node.name in names)
        return [
            NodeInfo(node_id=each.node_id, name=each.name, status="online")
            for each in found
            if each.online
        ]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Hand over messages; their names."""
        return self._push(list(messages), time.monotonic() + _LOOK_S)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies that are there; each is handed out again until it is settled."""
        waiting = dict.fromkeys(message_ids)
        return self._pull(waiting, wait_s=0.0, until=time.monotonic() + _LOOK_S)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Every reply that comes in time; fewer where a platform is silent.

        Args:
            messages: to nodes, one each.
            timeout: seconds; None = as long as the messages live.

        Raises:
            RunGoneError: Flower ended the run, as it does when it was down for a minute.
            ServiceError: the SuperLink was not there until the deadline.
            InterruptedWaitError: the operator wants something else.
        """
        sent = list(messages)
        lives = max((message.metadata.ttl for message in sent), default=0.0)
        replies: list[Message] = []
        with closing(self.stream(sent, timeout=lives if timeout is None else timeout)) as stream:
            for news in stream:
                replies += news
                if reason := self._interrupt():
                    raise InterruptedWaitError(reason)
        return replies

    def stream(
        self, messages: Sequence[Message], *, timeout: float
    ) -> Generator[Sequence[Message], None, None]:
        """What came since the last look, about once a second or with each news.

        It ends when all have answered or the time is over; then, or when it is closed, the messages
        are forgotten: nobody works on them any more.

        Args:
            messages: to nodes, one each.
            timeout: seconds.

        Raises:
            RunGoneError, ServiceError, InterruptedWaitError: as `send_and_receive`.
        """
        until = time.monotonic() + timeout
        try:
            waiting = dict.fromkeys(self._push(list(messages), until))
            try:
                while waiting and (left := until - time.monotonic()) > 0:
                    yield self._pull(waiting, wait_s=min(left, _LOOK_S), until=until)
            finally:
                self._link.settle(message.metadata.message_id for message in messages)
        except RunGoneError:
            self._run = None
            raise

    def _push(self, messages: list[Message], until: float) -> list[str]:
        run = self.run.run_id
        request = PushAppMessagesRequest()
        objects: dict[str, bytes] = {}
        with no_object_id_recompute():
            for message in messages:
                message.metadata.__dict__["_run_id"] = run
                message.metadata.__dict__["_message_id"] = message.object_id
                bare = message_to_proto(remove_content_from_message(message))
                request.messages_list.append(bare)
                request.message_object_trees.append(get_object_tree(message))
                for name, value in get_all_nested_objects(message).items():
                    if name not in objects:  # a content that goes to many is packed once
                        objects[name] = value.deflate()
        if messages:
            self._link.post(run, [request.SerializeToString(), *objects.values()], until)
        return [message.metadata.message_id for message in messages]

    def _pull(self, waiting: dict[str, None], *, wait_s: float, until: float) -> list[Message]:
        """New replies to what is waited for, which is then waited for no more."""
        parts = self._link.replies(self.run.run_id, waiting, wait_s=wait_s, until=until)
        if parts is None:
            return []
        response = PullAppMessagesResponse.FromString(parts[0])
        contents = {get_object_id(part): part for part in parts[1:]}
        found: list[Message] = []
        pairs = zip(response.messages_list, response.message_object_trees, strict=True)
        for wire, tree in pairs:
            if wire.metadata.reply_to_message_id in waiting:
                del waiting[wire.metadata.reply_to_message_id]
                found.append(_decoded(wire, tree, contents))
        return found


def _decoded(wire: WireMessage, tree: ObjectTree, contents: dict[str, bytes]) -> Message:
    """The reply: what the SuperLink checked of it, and the content that its objects make.

    The objects hold a sender too, which nobody checked; it is not used.
    """
    metadata = message_from_proto(wire).metadata
    try:
        inner = inflate_object_from_contents(tree.object_id, contents, keep_object_contents=True)
        if not isinstance(inner, Message):
            raise TypeError("a reply is no message")
        if inner.has_error():
            return make_message(metadata, error=inner.error)
        return make_message(metadata, content=inner.content)
    except _MALFORMED as error:
        _log.warning("a reply of node %d is malformed: %s", metadata.src_node_id, error)
        return make_message(metadata, error=Error(ErrorCode.UNKNOWN, "the reply is malformed"))
