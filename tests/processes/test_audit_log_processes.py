"""Audit logs under several writers, kill -9 and a full disk: whole lines, one chain, none lost."""

import errno
import subprocess
import sys
from pathlib import Path

import audit_program
import pytest
from audit_logs import lines_of

from isthmus.audit_log import AuditLog, verify_log

PROGRAM = Path(audit_program.__file__)


def writer(path, name, count, *limit):
    command = [sys.executable, PROGRAM, path, name, str(count), *map(str, limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kept_by(path, name):
    return [line["number"] for line in lines_of(path) if line["of"] == name]


def test_processes_that_write_at_once_make_one_chain(tmp_path):
    path = tmp_path / "audit.jsonl"
    writers = {name: writer(path, name, 150) for name in ("a", "b", "c")}
    for name, process in writers.items():
        process.communicate(timeout=60)
        assert process.returncode == 0, name
    check = verify_log(path)
    assert (check.lines, check.first_bad, check.torn) == (450, None, 0)
    assert all(kept_by(path, name) == list(range(150)) for name in writers)


def test_what_was_kept_when_a_writer_was_killed_is_there(tmp_path):
    path, told = tmp_path / "audit.jsonl", {}
    for name, after in (("a", 1), ("b", 23), ("c", 57)):
        process = writer(path, name, 100_000)
        try:
            told[name] = [int(process.stdout.readline()) for _ in range(after)]
        finally:
            process.kill()
            process.communicate(timeout=60)
    check = verify_log(path)
    assert check.first_bad is None
    assert all(kept_by(path, name)[: len(told[name])] == told[name] for name in told)
    AuditLog(path).append({"of": "d", "number": 0})
    check = verify_log(path)
    assert (check.first_bad, check.torn) == (None, 0)


@pytest.mark.parametrize("limit", [4_000, 8_192, 8_200])
def test_a_full_disk_leaves_whole_lines(tmp_path, limit):
    path = tmp_path / "audit.jsonl"
    process = writer(path, "a", 1_000, limit)
    told, _ = process.communicate(timeout=60)
    *kept, last = told.split("\n")[:-1]
    assert process.returncode == 7
    assert last == f"full {errno.EFBIG}"
    check = verify_log(path)
    assert (check.first_bad, check.torn) == (None, 0)
    assert check.lines == len(kept) > 5
    AuditLog(path).append({"of": "b", "number": 0})
    assert verify_log(path).lines == len(kept) + 1
