"""Files are never half written."""

import errno
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from isthmus.errors import LedgerError
from isthmus.files import digest, is_full, write_bytes, write_json, write_text


def test_a_file_is_replaced_and_nothing_stays_beside_it(tmp_path):
    path = tmp_path / "deep" / "er" / "a.bin"
    write_bytes(path, b"first")
    write_bytes(path, b"second")
    assert path.read_bytes() == b"second"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]


def test_a_secret_is_never_open_to_others(tmp_path):
    path = tmp_path / "secret"
    for _ in range(2):  # a new file, and in the place of one
        write_bytes(path, b"secret", mode=0o600)
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_is_as_open_as_the_umask_lets_it(tmp_path):
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_text_is_utf8_and_json_is_sorted(tmp_path):
    write_text(tmp_path / "a.txt", "größer → 快\n")
    assert (tmp_path / "a.txt").read_bytes() == "größer → 快\n".encode()
    write_json(tmp_path / "a.json", {"b": [1, None], "a": 0.5})
    assert (tmp_path / "a.json").read_text().index('"a"') < 6
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 0.5, "b": [1, None]}


def test_nan_is_refused_and_the_old_file_stays(tmp_path):
    write_json(tmp_path / "a.json", {"kept": 17})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"lost": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"kept": 17}


FULL_DISK = """
from pathlib import Path
import resource, signal, sys
from isthmus.files import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
write_bytes(Path(sys.argv[1]), b"x" * 10_000)
"""


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert os.strerror(errno.EFBIG) in done.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_digest_keeps_parts_apart():
    assert digest(b"ab", b"c") != digest(b"a", b"bc")
    assert digest() == hashlib.sha256().hexdigest()
    framed = (3).to_bytes(8, "big") + b"abc"
    assert digest(b"abc") == hashlib.sha256(framed).hexdigest()


def full_database(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (value BLOB)")
        connection.execute("PRAGMA max_page_count = 3")
        connection.execute("INSERT INTO t VALUES (?)", (bytes(100_000),))


def test_a_full_disk_is_told_from_other_faults_through_what_hides_it(tmp_path):
    with pytest.raises(sqlite3.OperationalError) as full:
        full_database(tmp_path / "a.sqlite")
    assert is_full(full.value)
    assert is_full(OSError(errno.ENOSPC, "No space left on device"))
    hidden = LedgerError("the ledger cannot be written")
    hidden.__cause__ = full.value
    assert is_full(hidden)
    assert not is_full(OSError(errno.EACCES, "Permission denied"))
    assert not is_full(LedgerError("altered"))
    assert not is_full(None)
