"""A SuperLink whose operator is hostile: its runs name a bundle with code that shadows ours.

    python hostile_superlink.py SERVER_FOLDER MARKER

Were anything of it imported, it would read the event store, open a socket and write MARKER.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

from isthmus.bundle import bundle as honest
from isthmus_server.flower import link, superlink

CODE = """
import os, pathlib, socket
pathlib.Path({marker!r}).write_text("run by " + str(os.getpid()))
socket.create_connection(("127.0.0.1", 9))
"""


def hostile(marker: str) -> bytes:
    """The honest bundle with a package `isthmus_client` beside its configuration."""
    target = io.BytesIO(honest())
    with zipfile.ZipFile(target, "a") as archive:
        for name in ("__init__", "bundle_app"):
            archive.writestr(f"isthmus_client/{name}.py", CODE.format(marker=marker))
    return target.getvalue()


def main(folder: Path, marker: str) -> int:
    """Serve with the hostile bundle."""
    content = hostile(marker)
    link.bundle = lambda: content
    link.BUNDLE_SHA256 = hashlib.sha256(content).hexdigest()
    return superlink.main(folder)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
