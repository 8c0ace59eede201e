"""Holds gRPC to TLS 1.3 in this process: import this before anything imports `grpc`.

grpcio has no setting for the TLS version. It takes a list of cipher suites for TLS 1.2 and below,
though, and always allows those of TLS 1.3. Our list names one that needs a pre-shared key, of which
there is none: no handshake below TLS 1.3 can end well. gRPC reads the list once, when it is
imported; where that was too early, the server notices at its start and refuses to serve
(`isthmus_server.control.transport.prove_tls13`).
"""

from __future__ import annotations

import os

os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-PSK-AES256-CBC-SHA"
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # a stranger's failed handshakes fill no log
