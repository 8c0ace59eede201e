#!/bin/sh
# Whether the platform in this container takes part: 1 and why where it does not (yet).
set -eu

exec python3 - "${ISTHMUS_PLATFORM:-/var/lib/isthmus}" <<'PYTHON'
import json, sys
from pathlib import Path

folder = Path(sys.argv[1]) / "federation" / "run"
for name in ("node", "worker"):
    try:
        told = json.loads((folder / f"{name}.json").read_text())
    except (OSError, ValueError):
        sys.exit(f"{name}: has not started")
    if not Path(f"/proc/{told['pid']}").exists():
        sys.exit(f"{name}: does not run")
    if told["state"] not in ("ready", "working"):
        sys.exit(f"{name}: {told['state']}, {told['reason']}")
PYTHON
