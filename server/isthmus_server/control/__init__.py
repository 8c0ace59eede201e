"""The control service: joining, sessions, contracts and releases over gRPC with TLS 1.3."""
