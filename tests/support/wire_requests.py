"""What a platform asked of the server, read from what it sent: HTTP/1.1, and gRPC's HTTP/2."""

from collections.abc import Iterator
from dataclasses import dataclass

from flwr.app import Message
from flwr.proto.fleet_pb2 import PushMessagesRequest
from flwr.supercore.inflatable.inflatable_object import get_object_id
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

from isthmus import frames
from isthmus.records import ARRAYS, METRICS, REPLY, SECURE, sealed_bytes, unpack_update

PUSH = "/isthmus/fleet/push"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME = 9  # bytes before each of HTTP/2's frames
_DATA, _HEADERS, _CONTINUATION = 0, 1, 9


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        path: "" where only the server's compression tables could tell.
        head: bytes of its headers.
        body: whole.
    """

    path: str
    head: int
    body: bytes


def http_requests(sent: bytes) -> Iterator[Asked]:
    """Each request of a connection with the fleet's port; one that was cut off is left out."""
    at = 0
    while (end := sent.find(b"\r\n\r\n", at)) >= 0:
        first, *lines = sent[at:end].decode("ascii").split("\r\n")
        told = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
        assert "transfer-encoding" not in told, "a body in chunks"
        start, size = end + 4, int(told.get("content-length", 0))
        if start + size > len(sent):
            return
        path = first.split()[1].partition("?")[0]
        yield Asked(path, end - at, sent[start : start + size])
        at = start + size


def grpc_requests(sent: bytes) -> Iterator[Asked]:
    """Each stream of a connection with the control service."""
    if not sent.startswith(_PREFACE):
        assert not sent, "neither HTTP/2 nor nothing"
        return
    heads: dict[int, int] = {}
    bodies: dict[int, bytes] = {}
    at = len(_PREFACE)
    while at + _FRAME <= len(sent):
        size, kind, flags = int.from_bytes(sent[at : at + 3], "big"), sent[at + 3], sent[at + 4]
        stream = int.from_bytes(sent[at + 5 : at + _FRAME], "big")
        data = sent[at + _FRAME : at + _FRAME + size]
        if kind == _DATA:
            assert not flags & 8, "padded"
            bodies[stream] = bodies.get(stream, b"") + data
        elif kind in (_HEADERS, _CONTINUATION):
            heads[stream] = heads.get(stream, 0) + len(data)
        else:
            heads[0] = max(heads.get(0, 0), len(data))
        at += _FRAME + size
    for stream in heads.keys() | bodies.keys():
        yield Asked("", heads.get(stream, 0), bodies.get(stream, b""))


@dataclass(frozen=True)
class Departure:
    """What a reply carried.

    Attributes:
        run: of which it speaks; "" = it is an error.
        tensors: what its arrays are made of, by name; empty where they are sealed.
        sealed: under secure aggregation, the bytes of a phase.
        metrics: by name.
        overhead: bytes around tensors or sealed bytes.
    """

    run: str
    tensors: object
    sealed: bytes
    metrics: dict[str, float]
    overhead: int


def departures(requests: list[Asked]) -> list[Departure]:
    """Of all replies that were handed in."""
    return [_departure(each.body) for each in requests if each.path == PUSH]


def _departure(body: bytes) -> Departure:
    head, *objects = frames.split(body)
    pushed = PushMessagesRequest.FromString(head)
    (tree,) = pushed.message_object_trees
    contents = {get_object_id(each): each for each in objects}
    reply = inflate_object_from_contents(tree.object_id, contents)
    assert isinstance(reply, Message)
    if reply.has_error():
        return Departure("", None, b"", {}, len(body))
    content = reply.content
    if SECURE in content:
        sealed = sealed_bytes(content.array_records[ARRAYS])
        run = str(content.config_records[SECURE]["run_id"])
        return Departure(run, None, sealed, {}, len(body) - len(sealed))
    told = content.config_records[REPLY]
    arrays = content.array_records.get(ARRAYS)
    tensors = unpack_update(arrays) if arrays is not None else None
    size = tensors.bytes if tensors is not None else 0
    metrics = {name: float(value) for name, value in content.metric_records[METRICS].items()}
    return Departure(str(told["run_id"]), tensors, b"", metrics, len(body) - size)
