from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JoinRequest(_message.Message):
    __slots__ = ("request",)
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    request: bytes
    def __init__(self, request: _Optional[bytes] = ...) -> None: ...

class JoinReply(_message.Message):
    __slots__ = ("status", "server")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    status: str
    server: Server
    def __init__(self, status: _Optional[str] = ..., server: _Optional[_Union[Server, _Mapping]] = ...) -> None: ...

class Server(_message.Message):
    __slots__ = ("federation", "signing_key", "ports")
    class PortsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    FEDERATION_FIELD_NUMBER: _ClassVar[int]
    SIGNING_KEY_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    federation: str
    signing_key: bytes
    ports: _containers.ScalarMap[str, int]
    def __init__(self, federation: _Optional[str] = ..., signing_key: _Optional[bytes] = ..., ports: _Optional[_Mapping[str, int]] = ...) -> None: ...

class CollectRequest(_message.Message):
    __slots__ = ("name", "csr_pem", "signature")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    name: str
    csr_pem: bytes
    signature: bytes
    def __init__(self, name: _Optional[str] = ..., csr_pem: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class CollectReply(_message.Message):
    __slots__ = ("status", "note", "certificate_pem", "server")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    status: str
    note: str
    certificate_pem: bytes
    server: Server
    def __init__(self, status: _Optional[str] = ..., note: _Optional[str] = ..., certificate_pem: _Optional[bytes] = ..., server: _Optional[_Union[Server, _Mapping]] = ...) -> None: ...

class OpenSessionRequest(_message.Message):
    __slots__ = ("previous", "ticket")
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    TICKET_FIELD_NUMBER: _ClassVar[int]
    previous: str
    ticket: str
    def __init__(self, previous: _Optional[str] = ..., ticket: _Optional[str] = ...) -> None: ...

class OpenSessionReply(_message.Message):
    __slots__ = ("server", "heartbeat_s")
    SERVER_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    server: Server
    heartbeat_s: float
    def __init__(self, server: _Optional[_Union[Server, _Mapping]] = ..., heartbeat_s: _Optional[float] = ...) -> None: ...

class Anchor(_message.Message):
    __slots__ = ("lines", "hash")
    LINES_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    lines: int
    hash: str
    def __init__(self, lines: _Optional[int] = ..., hash: _Optional[str] = ...) -> None: ...

class HeartbeatRequest(_message.Message):
    __slots__ = ("ticket", "time", "round_trip_s", "facts_json", "audit", "known_contracts")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    ROUND_TRIP_S_FIELD_NUMBER: _ClassVar[int]
    FACTS_JSON_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    KNOWN_CONTRACTS_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    time: float
    round_trip_s: float
    facts_json: str
    audit: Anchor
    known_contracts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ticket: _Optional[str] = ..., time: _Optional[float] = ..., round_trip_s: _Optional[float] = ..., facts_json: _Optional[str] = ..., audit: _Optional[_Union[Anchor, _Mapping]] = ..., known_contracts: _Optional[_Iterable[str]] = ...) -> None: ...

class HeartbeatReply(_message.Message):
    __slots__ = ("time", "audit", "offers", "renew", "heartbeat_s")
    TIME_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    OFFERS_FIELD_NUMBER: _ClassVar[int]
    RENEW_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    time: float
    audit: Anchor
    offers: _containers.RepeatedCompositeFieldContainer[RunOffer]
    renew: bool
    heartbeat_s: float
    def __init__(self, time: _Optional[float] = ..., audit: _Optional[_Union[Anchor, _Mapping]] = ..., offers: _Optional[_Iterable[_Union[RunOffer, _Mapping]]] = ..., renew: bool = ..., heartbeat_s: _Optional[float] = ...) -> None: ...

class RunOffer(_message.Message):
    __slots__ = ("run", "contract_sha256", "contract", "signature", "status", "reason")
    RUN_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_SHA256_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run: str
    contract_sha256: str
    contract: bytes
    signature: bytes
    status: str
    reason: str
    def __init__(self, run: _Optional[str] = ..., contract_sha256: _Optional[str] = ..., contract: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("ticket", "csr_pem")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    csr_pem: bytes
    def __init__(self, ticket: _Optional[str] = ..., csr_pem: _Optional[bytes] = ...) -> None: ...

class RenewReply(_message.Message):
    __slots__ = ("certificate_pem",)
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: bytes
    def __init__(self, certificate_pem: _Optional[bytes] = ...) -> None: ...

class DecideRequest(_message.Message):
    __slots__ = ("ticket", "run", "contract_sha256", "decision", "reason", "signature")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_SHA256_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    run: str
    contract_sha256: str
    decision: str
    reason: str
    signature: bytes
    def __init__(self, ticket: _Optional[str] = ..., run: _Optional[str] = ..., contract_sha256: _Optional[str] = ..., decision: _Optional[str] = ..., reason: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class DecideReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FetchReleaseRequest(_message.Message):
    __slots__ = ("ticket", "release", "run")
    TICKET_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    ticket: str
    release: str
    run: str
    def __init__(self, ticket: _Optional[str] = ..., release: _Optional[str] = ..., run: _Optional[str] = ...) -> None: ...

class ReleaseChunk(_message.Message):
    __slots__ = ("file", "size", "sha256", "data")
    FILE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    file: str
    size: int
    sha256: str
    data: bytes
    def __init__(self, file: _Optional[str] = ..., size: _Optional[int] = ..., sha256: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...
