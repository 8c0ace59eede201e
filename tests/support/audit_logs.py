"""Audit logs with a few lines, and what somebody may do to them."""

import json


def filled(log, count=4):
    """Add lines for rounds 1, 2, ...; their hashes."""
    return [log.append({"kind": "round", "round": number}) for number in range(1, count + 1)]


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def rewrite(path, change):
    """Let `change` alter the list of lines in place, each without its newline."""
    lines = path.read_bytes().split(b"\n")[:-1]
    change(lines)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
