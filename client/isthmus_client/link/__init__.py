"""What of a platform talks to the server: no data, no training, no keys of the store."""

import isthmus.control.tls13  # noqa: F401 - before any module here, or Flower, imports grpc
