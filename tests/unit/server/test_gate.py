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
from flwr.supercore.date import now
from flwr.supercore.primitives.asymmetric import (
    generate_key_pairs,
    public_key_to_bytes,
    sign_message,
)

from isthmus.errors import StateError
from isthmus.identity import PeerCertificate
from isthmus_server.flower.gate import Gate, Hooks
from isthmus_server.flower.listener import PEER
from isthmus_server.flower.roster import Roster
from isthmus_server.flower.shares import MAX_HELD, MAX_REQUESTS, TOLD_AGAIN_S, Shares, Told

PRIVATE, PUBLIC = generate_key_pairs()
KEY = public_key_to_bytes(PUBLIC)
UNSIGNED = [(b"flwr-public-key", b64encode(KEY))]
PULL, PUSH = "/v1/fleet/pull-messages", "/v1/fleet/push-messages"


def peer(**changes):
    values = {"platform": "a", "serial": 7, "not_after": datetime.now(UTC) + timedelta(hours=1)}
    return PeerCertificate(**{**values, "fingerprint": "SHA256:x", **changes})


async def inner(_scope, receive, send):
    """Stands for Flower: answers with the length of the body that it was given."""
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


def signed(key=KEY, signer=PRIVATE, at=None):
    """Headers as Flower's node sends them."""
    stamp = (at or now()).isoformat().encode()
    named = {b"flwr-public-key": key, b"flwr-signature": sign_message(signer, stamp)}
    return [(b"flwr-timestamp", stamp), *((name, b64encode(each)) for name, each in named.items())]


def ask(
    path=PULL,
    *,
    who=None,
    keys=None,
    body=b"x",
    key=KEY,
    idle_s=0.05,
    broken=False,
    app=inner,
    headers=None,
    superseded=False,
):
    """The gate's answer: status and what it says; and what it told the operator."""
    told = []

    def load():
        if broken:
            raise StateError("away")
        return {"a": KEY} if keys is None else keys

    hooks = Hooks(
        lambda *words: told.append(words), lambda _: None, lambda _: 5, lambda *_: not superseded
    )
    gate = Gate(app, app, Roster(load), hooks, idle_s=idle_s)
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": signed(key) if headers is None else headers,
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
        ({"superseded": True}, 403, "superseded"),
        ({"broken": True}, 503, "state-unavailable"),
        ({"body": None}, 408, "idle"),
        ({"path": "/isthmus/fleet/pull", "headers": UNSIGNED}, 401, "signature"),
        ({"headers": UNSIGNED}, 401, "signature"),
        ({"headers": signed(signer=generate_key_pairs()[0])}, 401, "signature"),
        ({"headers": signed(at=now() - timedelta(minutes=6))}, 401, "signature"),
        ({"headers": UNSIGNED, "body": None}, 401, "signature"),  # before the body is waited for
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


class Talk:
    """One gate, and requests of platform "a" whose bodies come when the test says so."""

    def __init__(self, keys=None):
        self.keys = {"a": KEY} if keys is None else keys
        self.told, self.released = [], []
        hooks = Hooks(
            lambda *words: self.told.append(words),
            self.released.append,
            lambda _: 5,
            lambda *_: True,
        )
        self.clock = [0.0]
        roster = Roster(lambda: self.keys, now=lambda: self.clock[0])
        self.gate = Gate(inner, inner, roster, hooks, idle_s=5)

    async def ask(self, receive, path=PULL, headers=None):
        scope = {"type": "http", "method": "POST", "path": path, PEER: peer()}
        sent = []

        async def send(message):
            sent.append(message)

        await self.gate({**scope, "headers": headers or signed()}, receive, send)
        return sent[0]["status"]


def bodies(*parts):
    """A body in parts; each may be something to wait for first."""
    left = list(parts)

    async def receive():
        part = left.pop(0)
        if not isinstance(part, bytes):
            part = await part
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    return receive


def test_who_cannot_sign_ends_no_lease():
    talk = Talk()
    path = "/v1/fleet/activate-node"
    assert asyncio.run(talk.ask(bodies(b"x"), path, UNSIGNED)) == 401
    assert talk.released == []
    assert asyncio.run(talk.ask(bodies(b"x"), path)) == 200
    assert talk.released == [KEY]


def test_a_body_may_take_longer_than_its_signature_lasts(monkeypatch):
    async def slow():
        late = now() + timedelta(minutes=10)
        monkeypatch.setattr("isthmus_server.flower.signatures.now", lambda: late)
        return b"x"

    assert asyncio.run(Talk().ask(bodies(b"x", slow()), "/isthmus/fleet/push")) == 200


@pytest.mark.parametrize("path", [PULL, "/isthmus/fleet/push"])
def test_who_is_revoked_while_it_sends_gets_no_further(path):
    talk = Talk()

    async def revoked():
        talk.keys, talk.clock[0] = {}, 1.0
        return b"x"

    assert asyncio.run(talk.ask(bodies(b"x", revoked()), path)) == 403


def test_a_platform_has_only_so_many_requests_and_bytes_under_way():
    talk = Talk()

    async def crowded():
        held, all_wait, waiting = asyncio.Event(), asyncio.Event(), []

        async def last():
            waiting.append(1)
            if len(waiting) == MAX_REQUESTS:
                all_wait.set()
            await held.wait()
            return b"x"

        asked = [asyncio.create_task(talk.ask(bodies(b"x", last()))) for _ in range(MAX_REQUESTS)]
        await asyncio.wait_for(all_wait.wait(), 10)
        refused_one = await talk.ask(bodies(b"x"))
        held.set()
        return refused_one, [await each for each in asked], await talk.ask(bodies(b"x"))

    assert asyncio.run(crowded()) == (429, [200] * MAX_REQUESTS, 200)


def test_bytes_count_until_the_request_is_over():
    shares = Shares()
    with shares.one("a") as first, shares.one("a") as second, shares.one("b") as other:
        assert first.hold(MAX_HELD)
        assert not second.hold(1)
        assert other.hold(1)
    with shares.one("a") as again:
        assert again.hold(MAX_HELD)


def test_the_same_refusal_is_told_once_in_a_while():
    talk = Talk(keys={})

    async def often():
        return [await talk.ask(bodies(b"x")) for _ in range(50)]

    assert asyncio.run(often()) == [403] * 50
    assert len(talk.told) == 1
    clock = [0.0]
    told = Told(lambda: clock[0])
    assert told.is_news("a", "x")
    assert not told.is_news("a", "x")
    assert told.is_news("b", "x")
    clock[0] = TOLD_AGAIN_S
    assert told.is_news("a", "x")
