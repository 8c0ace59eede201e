"""gRPC as both sides use it: TLS 1.3, bounded messages, connections that are asked if they live."""

# ruff: noqa: I001 - the first import must come before that of grpc
from __future__ import annotations

import isthmus.control.tls13  # noqa: F401 - see there

from typing import Final

import grpc

from isthmus.control.limits import KEEPALIVE_S, MAX_MESSAGE
from isthmus.control.reasons import METADATA_KEY, RefusedError, known_reason
from isthmus.errors import IsthmusError, ServiceError
from isthmus.plain_text import plain

Options = list[tuple[str, int | str]]
_WORDS: Final = 1_000  # characters of what a peer says of an error

_OF_ALL: Final[Options] = [
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.keepalive_time_ms", int(KEEPALIVE_S * 1000)),
    ("grpc.keepalive_timeout_ms", int(KEEPALIVE_S * 1000)),
]


def server_options(largest: int = MAX_MESSAGE) -> Options:
    """Of a server; a port belongs to one server alone.

    Args:
        largest: message that comes in, bytes.
    """
    patience = ("grpc.http2.min_recv_ping_interval_without_data_ms", int(KEEPALIVE_S * 500))
    bound = ("grpc.max_receive_message_length", largest)
    return [*_OF_ALL, bound, ("grpc.so_reuseport", 0), patience]


def client_options() -> Options:
    """Of a platform; system-wide proxies are left alone, and nothing is shared between channels.

    `grpc.min_reconnect_backoff_ms` stays what it is, 20 s: it is also what a handshake may take,
    and over a slow line one takes seconds.
    """
    return [
        *_OF_ALL,
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5000),
    ]


def open_channel(
    server: str, port: int, authority_pem: bytes, key_pem: bytes = b"", certificate_pem: bytes = b""
) -> grpc.Channel:
    """A channel to the server, which connects when it is first used.

    Args:
        server: name or address, which must stand in the server's certificate.
        port: of a service.
        authority_pem: the only authority that is trusted.
        key_pem: of the certificate; empty = the platform shows none.
        certificate_pem: the platform's.
    """
    credentials = grpc.ssl_channel_credentials(
        authority_pem, key_pem or None, certificate_pem or None
    )
    host = f"[{server}]" if ":" in server else server
    return grpc.secure_channel(f"{host}:{port}", credentials, options=client_options())


def told_error(error: grpc.RpcError, server: str) -> IsthmusError:
    """What a failed call means.

    Args:
        error: of a call.
        server: name or address and port, for the message.

    Returns:
        A `RefusedError` where the server answered with a reason; else a `ServiceError`.
    """
    words = plain(error.details() or "", _WORDS)
    told = [each.value for each in error.trailing_metadata() or () if each.key == METADATA_KEY]
    if told:
        return RefusedError(known_reason(str(told[0])), words)
    code = error.code()
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "message" in words.lower():
        return ServiceError(f"a message to or from {server} is over its bound: {words}")
    return ServiceError(
        f"the server {server} could not be reached: {code.name.lower()}: {words}",
        hint="is the server up, the address right, and its certificate of this federation?",
    )
