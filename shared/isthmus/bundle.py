"""The Flower app bundle: a configuration that names installed code, and no code.

Flower gives a platform a bundle (a ZIP archive) and runs what is in it. Ours holds one file, which
says that the app is `isthmus_client.bundle_app`, of the wheel that the platform installed itself.
Its bytes are always the same, so that a platform can hold its SHA-256 and refuse every other one.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Final

from isthmus.errors import BundleError

PUBLISHER: Final = "isthmus"
NAME: Final = "federation"
VERSION: Final = "1.0.0"  # of the bundle; a change of it or of the text below changes the hash

APP_ID: Final = f"@{PUBLISHER}/{NAME}"
"""As Flower's server names it."""

MAX_BYTES: Final = 64 * 1024
"""Of a bundle that anybody looks at; ours has less than a kibibyte."""

_CONFIG_PATH: Final = "pyproject.toml"
_CONTENT_PATH: Final = ".info/CONTENT"
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP archive can say

_CONFIG: Final = f"""\
[project]
name = "{NAME}"
version = "{VERSION}"
dependencies = []

[tool.flwr.app]
publisher = "{PUBLISHER}"

[tool.flwr.app.components]
serverapp = "isthmus_server.app:app"
clientapp = "isthmus_client.bundle_app:app"

[tool.flwr.app.config]
"""


def bundle() -> bytes:
    """The bundle, byte for byte the same on every machine: stored uncompressed, with one date."""
    config = _CONFIG.encode()
    bits = 8 * len(config)
    listed = f"{_CONFIG_PATH},{hashlib.sha256(config).hexdigest()},{bits}"
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path, content in ((_CONFIG_PATH, config), (_CONTENT_PATH, listed.encode())):
            entry = zipfile.ZipInfo(path, _DATE)
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return target.getvalue()


BUNDLE_SHA256: Final = hashlib.sha256(bundle()).hexdigest()
"""As Flower computes a bundle's hash: SHA-256 of its bytes, in hexadecimal."""


def require_known(sha256: str, allowed: frozenset[str] = frozenset()) -> None:
    """Refuse a bundle that is neither ours nor on a platform's own list.

    Args:
        sha256: of the bundle that a run names.
        allowed: more hashes that the platform's owner accepts.

    Raises:
        BundleError: the hash is another one.

    Guarantees:
        A bundle is told by its hash alone: nothing of it is opened, unpacked or imported.
    """
    if sha256 != BUNDLE_SHA256 and sha256 not in allowed:
        raise BundleError(
            f"the server sent the bundle {sha256[:16] or '(none)'}..., which this platform "
            "does not allow; nothing of it was run",
            hint="install the same release of isthmus on both sides, or ask the operator why the "
            "server sends other code",
        )
