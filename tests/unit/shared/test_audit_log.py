"""An audit log is written a line at a time, each on the disk, each naming the one before."""

import json
import logging
import os
import re
from functools import partial

import pytest
from audit_logs import filled, lines_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.audit_log import ROOT, Anchor, AuditLog, verify_log
from isthmus.audit_log.lines import line_of, written
from isthmus.errors import AuditError
from isthmus.identity import public_raw


def test_each_line_names_the_one_before(tmp_path):
    log = AuditLog(tmp_path / "deep" / "a.jsonl")
    hashes = filled(log)
    lines = lines_of(log.path)
    assert [line["previous"] for line in lines] == [ROOT, *hashes[:-1]]
    assert [line["hash"] for line in lines] == hashes
    assert [line["line"] for line in lines] == [1, 2, 3, 4]
    assert log.head() == Anchor(4, hashes[-1])


def test_the_file_is_for_its_owner_alone(tmp_path):
    log = AuditLog(tmp_path / "a.jsonl")
    filled(log, 1)
    assert log.path.stat().st_mode & 0o077 == 0


def test_a_log_that_is_not_there_has_no_head_and_is_not_made_by_asking(tmp_path):
    log = AuditLog(tmp_path / "a.jsonl")
    assert log.head() == Anchor(0, ROOT)
    assert not log.path.exists()


def test_an_empty_file_has_no_head(tmp_path):
    (tmp_path / "a.jsonl").touch()
    assert AuditLog(tmp_path / "a.jsonl").head() == Anchor(0, ROOT)


def test_the_key_is_not_shown(tmp_path):
    assert "Ed25519" not in repr(AuditLog(tmp_path / "a.jsonl", Ed25519PrivateKey.generate()))


@pytest.mark.parametrize("name", ["cut", "hash", "line", "previous", "signature"])
def test_a_body_uses_no_name_of_the_chain(tmp_path, name):
    log = AuditLog(tmp_path / "a.jsonl")
    with pytest.raises(ValueError, match=name):
        log.append({name: 1})
    assert not log.path.exists()


def test_what_json_has_not_is_refused_and_nothing_is_written(tmp_path):
    log = AuditLog(tmp_path / "a.jsonl")
    filled(log, 1)
    whole = log.path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        log.append({"x": float("nan")})
    assert log.path.read_bytes() == whole


@pytest.mark.parametrize("keep", [1, 20, -1])
def test_a_torn_last_line_is_seen_cut_and_said(tmp_path, caplog, keep):
    log = AuditLog(tmp_path / "a.jsonl")
    hashes = filled(log, 2)
    whole = log.path.read_bytes()
    torn = whole.splitlines()[0][:keep]
    log.path.write_bytes(whole + torn)
    assert verify_log(log.path).torn == len(torn)
    assert log.head() == Anchor(2, hashes[-1])
    with caplog.at_level(logging.WARNING):
        log.append({"round": 3})
    assert "unfinished" in caplog.text
    assert lines_of(log.path)[2]["cut"] == len(torn)
    check = verify_log(log.path)
    assert (check.lines, check.first_bad, check.torn) == (3, None, 0)


def test_a_torn_line_longer_than_the_next_leaves_nothing(tmp_path):
    log = AuditLog(tmp_path / "a.jsonl")
    log.path.write_bytes(b'{"round": "' + b"x" * 9_999)
    log.append({"round": 1})
    check = verify_log(log.path)
    assert (check.lines, check.first_bad, check.torn) == (1, None, 0)


def test_nothing_is_added_after_an_altered_line(tmp_path):
    log = AuditLog(tmp_path / "a.jsonl")
    filled(log, 2)
    altered = log.path.read_text().replace('"round": 2', '"round": 7')
    log.path.write_text(altered)
    with pytest.raises(AuditError, match="altered"):
        log.append({"round": 3})
    with pytest.raises(AuditError, match="altered"):
        log.head()
    assert log.path.read_text() == altered


def test_a_line_longer_than_a_block_is_chained(tmp_path):
    log = AuditLog(tmp_path / "a.jsonl")
    for number in range(3):
        log.append({"round": number, "text": "x" * 20_000})
    assert verify_log(log.path).first_bad is None
    assert log.head().lines == 3


def test_lines_of_before_they_were_numbered_are_counted(tmp_path):
    log, previous, texts = AuditLog(tmp_path / "a.jsonl"), ROOT, []
    for number in range(300):
        line = line_of({"round": number, "cut": 0, "previous": previous}, None)
        previous = line["hash"]
        texts.append(written(line) + b"\n")
    log.path.write_bytes(b"".join(texts))
    assert log.head() == Anchor(300, previous)
    log.append({"round": 300})
    assert lines_of(log.path)[-1]["line"] == 301
    assert verify_log(log.path).first_bad is None


def test_a_line_may_say_anything_that_json_can(tmp_path):
    log = AuditLog(tmp_path / "a.jsonl", key := Ed25519PrivateKey.generate())
    log.append({"text": "Zoë\n\u2028\x00", "list": [1, None, {"a": 0.1}], "": True})
    assert verify_log(log.path, public_raw(key)).first_bad is None
    assert json.loads(log.path.read_bytes())["text"] == "Zoë\n\u2028\x00"


def test_to_add_a_line_only_the_last_is_read(tmp_path):
    """A file whose beginning is a hole of 1 TiB cannot be read whole in a test's time."""
    log = AuditLog(tmp_path / "a.jsonl")
    filled(log, 1)
    line = log.path.read_bytes()
    with log.path.open("r+b") as handle:
        handle.truncate(0)
        handle.seek(2**40)
        handle.write(b"\n" + line)
    log.append({"round": 2})
    with log.path.open("rb") as handle:
        handle.seek(-(2 * len(line) + 200), os.SEEK_END)
        assert re.search(rb'"line": 2', handle.read())


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    log = AuditLog(tmp_path / "a.jsonl")
    filled(log, 2)
    whole = log.path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", partial(refuse, 28))
        with pytest.raises(OSError, match="no space"):
            log.append({"round": 3})
    assert log.path.read_bytes() == whole
    log.append({"round": 3})
    assert verify_log(log.path).lines == 3


def refuse(code, _):
    raise OSError(code, "no space left")
