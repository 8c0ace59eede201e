"""The control service: joining, sessions, contracts and releases over gRPC with TLS 1.3."""

import isthmus.control.tls13  # noqa: F401 - before any module here imports grpc
