"""A platform's worker whose randomness a test can draw again: `drawn_noise_worker.py TOML`.

It is the real worker but for where its sample, windows and noise are drawn from: a stream that
follows from the platform's name, and begins anew with each run. The product has no such switch.

Where a file `die-masked` lies beside `platform.toml`, it kills itself once: after its update was
charged and masked, and before it leaves.
"""

import hashlib
import os
import signal
import sys
from pathlib import Path

from isthmus.privacy.randomness import SecureSource
from isthmus_client import secure_side
from isthmus_client.worker import __main__ as program
from isthmus_client.worker import sides, trainers

DIE = "die-masked"


def source_of(name: str, salt: str = "") -> SecureSource:
    """The test's source of a platform."""
    seed = f"{name}/{salt}".encode()
    return SecureSource(lambda size: hashlib.shake_256(seed).digest(size))


def _member(workspace, *arguments, **named):
    source = source_of(workspace.platform.name)
    return trainers.private_member(workspace, *arguments, source=source, **named)


def _dying(flag: Path):
    honest = secure_side.SecureSide.mask

    def mask(self, *arguments):
        answer = honest(self, *arguments)
        if flag.exists():
            flag.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return mask


def main(arguments: list[str]) -> int:
    """The worker's exit code."""
    sides.private_member = _member
    secure_side.SecureSide.mask = _dying(Path(arguments[0]).parent / DIE)
    return program.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
