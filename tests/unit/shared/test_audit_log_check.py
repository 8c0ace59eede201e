"""Whatever is done to a log, the first line that it concerns is named, and what was done."""

import json

import pytest
from audit_logs import filled, rewrite
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.audit_log import Anchor, AuditLog, LogCheck, anchor_line, anchors_in, verify_log
from isthmus.audit_log.lines import line_of, parsed, written
from isthmus.errors import IdentityError
from isthmus.identity import public_raw

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = public_raw(KEY)


@pytest.fixture(name="log")
def _log(tmp_path):
    log = AuditLog(tmp_path / "a.jsonl", KEY)
    filled(log, 5)
    return log


def change(lines):
    lines[1] = lines[1].replace(b'"round": 2', b'"round": 9')


def respace(lines):
    lines[1] = lines[1].replace(b": ", b":\t", 1)


def empty(lines):
    lines[1] = b""


def nest(lines):
    lines[1] = b"[" * 100_000


def binary(lines):
    lines[1] = b"\xff\x00"


def change_signature(lines):
    line = json.loads(lines[1])
    line["signature"] = line["signature"].upper()
    lines[1] = written(line)


def drop(lines):
    del lines[1]


def drop_two(lines):
    del lines[1:3]


def swap(lines):
    lines[1], lines[2] = lines[2], lines[1]


def repeat(lines):
    lines.insert(1, lines[0])


def bring_forward(lines):
    lines.insert(1, lines.pop())


def drop_first(lines):
    del lines[0]


def swap_first(lines):
    lines[0], lines[1] = lines[1], lines[0]


@pytest.mark.parametrize("public", [None, PUBLIC])
@pytest.mark.parametrize(
    ("alter", "number", "what"),
    [
        (change, 2, "altered"),
        (respace, 2, "altered"),
        (empty, 2, "altered"),
        (nest, 2, "altered"),
        (binary, 2, "altered"),
        (change_signature, 2, "altered"),
        (drop, 2, "deleted"),
        (drop_two, 2, "deleted"),
        (drop_first, 1, "deleted"),
        (swap, 2, "reordered"),
        (swap_first, 1, "reordered"),
        (repeat, 2, "reordered"),
        (bring_forward, 2, "reordered"),
    ],
)
def test_the_first_bad_line_is_named(log, public, alter, number, what):
    rewrite(log.path, alter)
    check = verify_log(log.path, public)
    assert (check.first_bad, check.what) == (number, what)


def forged(stored, key, /, **more):
    """Somebody writes a line anew, with a right hash."""
    body = {name: value for name, value in parsed(stored).items() if name not in RIGHTS}
    return written(line_of({**body, **more}, key))


RIGHTS = {"hash", "signature"}


def test_a_line_written_anew_breaks_the_chain_behind_it_or_its_signature(log):
    rewrite(log.path, lambda lines: lines.__setitem__(1, forged(lines[1], None, round=9)))
    assert verify_log(log.path) == LogCheck(5, 3, "deleted", 0)
    assert verify_log(log.path, PUBLIC) == LogCheck(5, 2, "signature", 0)


@pytest.mark.parametrize("key", [None, OTHER])
def test_a_chain_written_anew_is_found_by_signatures(log, key):
    begun = Anchor(2, parsed(log.path.read_bytes().splitlines()[1])["hash"])

    def anew(lines):
        for at in range(2, len(lines)):
            lines[at] = forged(lines[at], key, round=9, previous=parsed(lines[at - 1])["hash"])

    rewrite(log.path, anew)
    assert verify_log(log.path, anchors=[begun]).first_bad is None
    assert verify_log(log.path, PUBLIC) == LogCheck(5, 3, "signature", 0)


def test_a_chain_written_anew_by_its_owner_is_found_by_the_other_side(log):
    kept = log.head()
    log.path.unlink()
    for number in range(7):
        log.append({"kind": "tale", "round": number})
    assert verify_log(log.path, PUBLIC).first_bad is None
    assert verify_log(log.path, PUBLIC, [kept]) == LogCheck(7, 5, "altered", 0)


def test_a_wrong_number_is_an_alteration(log):
    last = forged(log.path.read_bytes().splitlines()[-1], KEY, line=4)
    rewrite(log.path, lambda lines: lines.__setitem__(4, last))
    assert verify_log(log.path, PUBLIC) == LogCheck(5, 5, "altered", 0)


def test_lines_cut_off_the_end_show_against_the_other_side(log, tmp_path):
    other = AuditLog(tmp_path / "server.jsonl")
    other.append(anchor_line("books", log.head()))
    other.append(anchor_line("toys", Anchor(9, "0" * 64)))
    rewrite(log.path, lambda lines: lines.__delitem__(slice(3, None)))
    assert verify_log(log.path, PUBLIC).first_bad is None
    found = verify_log(log.path, PUBLIC, anchors_in(other.path, "books"))
    assert found == LogCheck(3, 4, "truncated", 0)


def test_a_log_that_is_gone_is_truncated(tmp_path):
    assert verify_log(tmp_path / "a.jsonl") == LogCheck(0, None, None, 0)
    told = [Anchor(3, "1" * 64)]
    assert verify_log(tmp_path / "a.jsonl", anchors=told) == LogCheck(0, 1, "truncated", 0)


def test_the_first_fault_counts_however_many_there_are(log):
    kept = log.head()
    rewrite(log.path, lambda lines: lines.__delitem__(slice(3, None)))
    rewrite(log.path, change)
    assert verify_log(log.path, PUBLIC, [kept]) == LogCheck(3, 2, "altered", 0)


def test_anchors_that_agree_change_nothing(log, tmp_path):
    other = AuditLog(tmp_path / "server.jsonl", OTHER)
    for number in range(6, 9):
        other.append(anchor_line("books", log.head()))
        other.append({"kind": "round"})
        log.append({"round": number})
    found = anchors_in(other.path, "books")
    assert [anchor.lines for anchor in found] == [5, 6, 7]
    assert verify_log(log.path, PUBLIC, found) == LogCheck(8, None, None, 0)


def test_who_joins_anew_begins_another_log(log, tmp_path):
    other = AuditLog(tmp_path / "server.jsonl", OTHER)
    other.append({"kind": "joined", "platform": "books"})
    other.append(anchor_line("books", log.head()))
    other.append({"kind": "joined", "platform": "toys"})
    assert len(anchors_in(other.path, "books")) == 1
    other.append({"kind": "joined", "platform": "books"})
    assert anchors_in(other.path, "books") == ()
    log.path.unlink()
    filled(log, 3)
    other.append(anchor_line("books", log.head()))
    assert anchors_in(other.path, "books") == (log.head(),)
    assert verify_log(log.path, PUBLIC, anchors_in(other.path, "books")).first_bad is None


def test_an_altered_or_odd_anchor_says_nothing(log, tmp_path):
    other = AuditLog(tmp_path / "server.jsonl")
    other.append(anchor_line("books", log.head()))
    other.append({"kind": "anchor", "of": "books", "lines": "5", "head": "x"})
    other.append({"kind": "anchor", "of": "books"})
    rewrite(other.path, lambda lines: lines.__setitem__(0, lines[0].replace(b"5", b"4", 1)))
    assert anchors_in(other.path, "books") == ()


def test_a_key_that_is_none_is_refused(log):
    with pytest.raises(IdentityError, match="32 bytes"):
        verify_log(log.path, b"short")
