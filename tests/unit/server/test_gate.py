"""The gate without a network: what is slow, unreadable or nobody's does not pass."""

import asyncio
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.proto.message_pb2 import Message as WireMessage
from flwr.proto.message_pb2 import Metadata
from flwr.proto.node_pb2 import Node
from flwr.supercore.primitives.asymmetric import generate_key_pairs, public_key_to_bytes

from isthmus.errors import StateError
from isthmus.identity import PeerCertificate
from isthmus_server.flower.gate import Gate, Hooks
from isthmus_server.flower.listener import PEER
from isthmus_server.flower.roster import Roster

KEY = public_key_to_bytes(generate_key_pairs()[1])
PULL, PUSH = "/v1/fleet/pull-messages", "/v1/fleet/push-messages"


def peer(**changes):
    values = {"platform": "a", "serial": 7, "not_after": datetime.now(UTC) + timedelta(hours=1)}
    return PeerCertificate(**{**values, "fingerprint": "SHA256:x", **changes})


async def inner(_scope, receive, send):
    """Stands for Flower: answers with the length of the body that it was given."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


def ask(path=PULL, who=None, keys=None, body=b"x", key=KEY, idle_s=0.05, broken=False, app=inner):
    """The gate's answer: status and what it says; and what it told the operator."""
    told = []

    def load():
        if broken:
            raise StateError("away")
        return {"a": KEY} if keys is None else keys

    hooks = Hooks(lambda *words: told.append(words), lambda _: None, lambda _: 5)
    gate = Gate(app, app, Roster(load), hooks, idle_s=idle_s)
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": [(b"flwr-public-key", b64encode(key))],
        PEER: who or peer(),
    }
    sent = []

    async def receive():
        if body is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(gate(scope, receive, send))
    said = b"".join(each.get("body", b"") for each in sent)
    return sent[0]["status"], said, told


def refused(**given):
    status, said, told = ask(**given)
    return status, json.loads(said)["refused"], told


def test_an_approved_platform_passes():
    assert ask(body=b"four") == (200, b"4", [])


@pytest.mark.parametrize(
    ("given", "status", "reason"),
    [
        ({"who": peer(not_after=datetime(2020, 2, 3, tzinfo=UTC))}, 403, "expired"),
        ({"who": peer(platform="b")}, 403, "not-approved"),
        ({"keys": {}}, 403, "not-approved"),
        ({"key": b"of another"}, 403, "other-key"),
        ({"broken": True}, 503, "state-unavailable"),
        ({"body": None}, 408, "idle"),
        ({"path": "/isthmus/fleet/pull"}, 401, "signature"),
        ({"path": "/v1/runtime/acquire-task"}, 404, "not-found"),
        ({"path": PUSH, "body": b"\xff"}, 400, "malformed"),
    ],
)
def test_everything_else_is_refused_with_its_reason(given, status, reason):
    assert refused(**given)[:2] == (status, reason)


def test_a_certificate_of_no_platform_is_refused():
    nobody = peer()
    object.__setattr__(nobody, "platform", "")
    assert refused(who=nobody)[:2] == (403, "not-approved")


def test_the_operator_hears_of_it_by_name():
    assert refused(key=b"of another")[2] == [("a", "it came with the node key of another")]


def test_on_flowers_path_too_a_node_answers_in_its_own_name():
    def reply(sender):
        message = WireMessage(metadata=Metadata(src_node_id=sender))
        request = PushMessagesRequest(node=Node(node_id=5), messages_list=[message])
        return request.SerializeToString()

    assert ask(path=PUSH, body=reply(5))[0] == 200
    assert refused(path=PUSH, body=reply(6))[:2] == (403, "other-name")


def test_a_large_answer_is_written_in_pieces():
    async def large(_scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(range(256)) * 4000})

    status, said, _ = ask(app=large)
    assert (status, said) == (200, bytes(range(256)) * 4000)
