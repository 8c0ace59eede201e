"""A platform's node for tests: Flower's activation, our pull and push, an answer per message."""

import contextlib
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable

import httpx
from flwr.app import Message
from flwr.app.message import remove_content_from_message
from flwr.app.message.message import make_message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    ActivateNodeResponse,
    DeactivateNodeRequest,
    PullMessagesResponse,
    PushMessagesRequest,
)
from flwr.proto.node_pb2 import Node
from flwr.supercore.date import now
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_id,
    get_object_tree,
    no_object_id_recompute,
)
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.primitives.asymmetric import public_key_to_bytes, sign_message

from isthmus import frames
from isthmus.identity import PlatformKeys

PROTOBUF = "application/protobuf"


class FleetNode:
    """Speaks to the public listener as one platform."""

    def __init__(
        self, port: Callable[[], int], context: ssl.SSLContext, keys: PlatformKeys
    ) -> None:
        self._port = port
        self._key = keys.node
        self._public = public_key_to_bytes(keys.node.public_key())
        self._client = httpx.Client(verify=context, timeout=10.0, trust_env=False)
        self.node_id = 0
        self.in_hand: list[str] = []

    def close(self):
        self._client.close()

    def call(self, path: str, body: bytes = b"", **params) -> httpx.Response:
        stamp = now().isoformat()
        headers = {
            "content-type": PROTOBUF,
            "flwr-public-key": b64encode(self._public).decode(),
            "flwr-timestamp": stamp,
            "flwr-signature": b64encode(sign_message(self._key, stamp.encode())).decode(),
        }
        url = f"https://127.0.0.1:{self._port()}{path}"
        return self._client.post(url, content=body, headers=headers, params=params)

    def activate(self) -> httpx.Response:
        request = ActivateNodeRequest(public_key=self._public, heartbeat_interval=30)
        response = self.call("/v1/fleet/activate-node", request.SerializeToString())
        if response.status_code == 200:
            self.node_id = ActivateNodeResponse.FromString(response.content).node_id
        return response

    def deactivate(self) -> httpx.Response:
        request = DeactivateNodeRequest(node_id=self.node_id)
        return self.call("/v1/fleet/deactivate-node", request.SerializeToString())

    def pull(self, wait: float = 0.0) -> Message | None:
        known = frames.join(each.encode() for each in self.in_hand)
        response = self.call("/isthmus/fleet/pull", known, wait=wait)
        if response.status_code == 204:
            return None
        assert response.status_code == 200, response.text
        head, *objects = frames.split(response.content)
        wire = PullMessagesResponse.FromString(head).messages_list[0]
        name = wire.metadata.message_id
        self.in_hand.append(name)
        contents = {get_object_id(each): each for each in objects}
        inner = inflate_object_from_contents(name, contents)
        return make_message(message_from_proto(wire).metadata, content=inner.content)

    def push(self, reply: Message, src: int | None = None) -> httpx.Response:
        metadata = reply.metadata.__dict__
        metadata["_src_node_id"] = self.node_id if src is None else src
        with no_object_id_recompute():
            metadata["_message_id"] = reply.object_id
            request = PushMessagesRequest(
                node=Node(node_id=self.node_id),
                messages_list=[message_to_proto(remove_content_from_message(reply))],
                message_object_trees=[get_object_tree(reply)],
            )
            objects = [each.deflate() for each in get_all_nested_objects(reply).values()]
        body = frames.join([request.SerializeToString(), *objects])
        return self.call("/isthmus/fleet/push", body)


class AnsweringNode(FleetNode):
    """Answers every message in a thread, through restarts of the SuperLink, until it is closed."""

    def __init__(self, port, context, keys, answer: Callable[[Message], Message]):
        super().__init__(port, context, keys)
        self._answer = answer
        self._ended = threading.Event()
        self.answered = 0
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def _work(self):
        while not self._ended.is_set():
            try:
                if not self.node_id and self.activate().status_code != 200:
                    self._ended.wait(0.05)
                elif (message := self.pull(wait=0.5)) is not None:
                    self._deliver(self._answer(message))
            except (httpx.TransportError, AssertionError):
                self._ended.wait(0.05)

    def _deliver(self, reply):
        while not self._ended.is_set():
            try:
                if self.push(reply).status_code in {204, 409, 422}:
                    self.answered += 1
                    return
            except httpx.TransportError:
                pass
            self._ended.wait(0.05)

    def close(self):
        self._ended.set()
        self.thread.join(10)
        with contextlib.suppress(httpx.TransportError):
            self.deactivate()
        super().close()
