#!/bin/sh
# Whether every process of the server in this container is ready.
set -eu

port=${ISTHMUS_HEALTH_PORT:-9446}
exec python3 -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/readyz')"
