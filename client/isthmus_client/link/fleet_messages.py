"""Flower's messages as bodies of our two fleet paths, and replies by the server's clock."""

from __future__ import annotations

import time

from flwr.app import Message
from flwr.app.message.message import make_message, remove_content_from_message
from flwr.app.metadata import Metadata
from flwr.common.serde import message_to_proto
from flwr.common.serde_utils import metadata_from_proto
from flwr.proto.fleet_pb2 import PullMessagesResponse, PushMessagesRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_id,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from google.protobuf.message import DecodeError

from isthmus import frames
from isthmus.errors import MessageRefusedError


def pulled_message(body: bytes) -> tuple[str, Message]:
    """The message in the answer to a pull, and its name.

    Guarantees:
        Every part of it is what its name says, as names are hashes; no code in it is run.

    Raises:
        MessageRefusedError: it is cut off, lacks a part, or is no message.
    """
    try:
        head, *objects = frames.split(body)
        response = PullMessagesResponse.FromString(head)
        wire, tree = response.messages_list[0], response.message_object_trees[0]
        contents = {get_object_id(content): content for content in objects}
        inflated = inflate_object_from_contents(tree.object_id, contents)
    except (DecodeError, KeyError, IndexError, ValueError, RecursionError) as error:
        raise MessageRefusedError(
            f"what was pulled is no message: {type(error).__name__}"
        ) from error
    if not isinstance(inflated, Message) or not inflated.has_content():
        raise MessageRefusedError("what was pulled is no message with a content")
    metadata = metadata_from_proto(wire.metadata)
    metadata.__dict__["_message_id"] = tree.object_id
    return tree.object_id, make_message(metadata, content=inflated.content)


def pushed_reply(reply: Message, node: Node, *, ahead: float, seconds: float) -> bytes:
    """The body that hands in a reply.

    Args:
        reply: to a message that `pulled_message` gave.
        node: ours.
        ahead: seconds by which this machine's clock is ahead of the server's.
        seconds: that the work took.
    """
    timed = make_message(
        _by_server_time(reply.metadata, ahead),
        content=reply.content if reply.has_content() else None,
        error=reply.error if reply.has_error() else None,
    )
    with no_object_id_recompute():
        timed.metadata.__dict__["_message_id"] = timed.object_id
        tree = get_object_tree(timed)
        objects = [each.deflate() for each in get_all_nested_objects(timed).values()]
    request = PushMessagesRequest(
        node=node,
        messages_list=[message_to_proto(remove_content_from_message(timed))],
        message_object_trees=[tree],
        clientapp_runtime_list=[seconds],
    )
    return frames.join([request.SerializeToString(), *objects])


def is_stale(message: Message, *, ahead: float) -> bool:
    """Whether a message's deadline has passed by the server's clock: nobody waits for an answer."""
    metadata = message.metadata
    return bool(time.time() - ahead >= metadata.created_at + metadata.ttl)


def _by_server_time(metadata: Metadata, ahead: float) -> Metadata:
    """The same, told by the server's clock: a reply ends when the message does that it answers."""
    made = metadata.created_at - ahead
    return Metadata(
        run_id=metadata.run_id,
        message_id="",
        src_node_id=metadata.src_node_id,
        dst_node_id=metadata.dst_node_id,
        reply_to_message_id=metadata.reply_to_message_id,
        group_id=metadata.group_id,
        created_at=made,
        ttl=metadata.created_at + metadata.ttl - made,
        message_type=metadata.message_type,
        src_task_id=metadata.src_task_id,
        dst_task_id=metadata.dst_task_id,
    )
