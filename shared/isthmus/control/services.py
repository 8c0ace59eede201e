"""The protocol's two services over gRPC, both sides read off the compiled `control.proto`.

A service that lacks a method of the protocol is refused when the server is made, not when a
platform calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Literal

import grpc
from google.protobuf.message_factory import GetMessageClass

from isthmus.control import control_pb2 as wire

ServiceName = Literal["Enrolment", "Membership"]


def stub(channel: grpc.Channel, service: ServiceName) -> Any:
    """The client's side: an object with a callable for each method of the service."""
    calls = {}
    for method, path, asked, answered in _methods(service):
        kind = channel.unary_stream if method.server_streaming else channel.unary_unary
        calls[method.name] = kind(
            path,
            request_serializer=asked.SerializeToString,
            response_deserializer=answered.FromString,
        )
    return SimpleNamespace(**calls)


def add_service(server: grpc.Server, service: ServiceName, answers: object) -> None:
    """The server's side.

    Args:
        server: not started yet.
        service: of the protocol.
        answers: has a method for each of the service's, under the same name.

    Raises:
        AttributeError: it lacks one.
    """
    handlers = {}
    for method, _, asked, answered in _methods(service):
        kind = (
            grpc.unary_stream_rpc_method_handler
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        handlers[method.name] = kind(
            getattr(answers, method.name),
            request_deserializer=asked.FromString,
            response_serializer=answered.SerializeToString,
        )
    name = wire.DESCRIPTOR.services_by_name[service].full_name
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))


def _methods(service: ServiceName) -> Iterator[tuple[Any, str, Any, Any]]:
    """Each method with its path and the classes of its request and its reply."""
    found = wire.DESCRIPTOR.services_by_name[service]
    for method in found.methods:
        path = f"/{found.full_name}/{method.name}"
        yield method, path, GetMessageClass(method.input_type), GetMessageClass(method.output_type)
