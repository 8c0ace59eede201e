"""A process that writes an audit log, to be killed or starved of disk.

Usage: audit_program.py LOG NAME COUNT [FILE_LIMIT_BYTES]. Prints a line's number when it is kept.
"""

import resource
import sys
from pathlib import Path

from isthmus.audit_log import AuditLog


def main(path: str, name: str, count: str, limit: str = "") -> int:
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    log = AuditLog(Path(path))
    for number in range(int(count)):
        try:
            log.append({"of": name, "number": number, "text": "x" * 200})
        except OSError as error:
            say(f"full {error.errno}")
            return 7
        say(str(number))
    return 0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
