"""What all tests share: how hypothesis searches."""

from hypothesis import settings

import isthmus.control.tls13  # noqa: F401 - before a test imports grpc

# The same examples every time, and no deadline on a busy machine: a red test is then a change's
# own. `make test ARGS=--hypothesis-profile=default` searches anew.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
