#!/bin/sh
# Whether every process of the server in this container is ready; 1 where one is not.
set -eu

exec python3 - "${ISTHMUS_HOME:-/var/lib/isthmus/isthmus-server}" <<'PYTHON'
import sys, tomllib, urllib.error, urllib.request
from pathlib import Path

try:
    settings = tomllib.loads((Path(sys.argv[1]) / "server.toml").read_text())
    url = f"http://127.0.0.1:{settings['health_port']}/readyz"
    urllib.request.urlopen(url, timeout=4)
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode())
except OSError as error:
    sys.exit(f"not up: {error}")
PYTHON
