"""Any log, any damage: the first line that differs from what was written is named."""

import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.audit_log import AuditLog, LogCheck, verify_log
from isthmus.audit_log.lines import RESERVED
from isthmus.identity import public_raw

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
NAMES = st.text(max_size=5).filter(lambda name: name not in RESERVED)
BODIES = st.lists(st.dictionaries(NAMES, VALUES, max_size=4), min_size=1, max_size=8)


def with_log(bodies, work):
    with tempfile.TemporaryDirectory() as folder:
        log = AuditLog(Path(folder) / "a.jsonl", KEY)
        hashes = [log.append(body) for body in bodies]
        return work(log.path, hashes)


@settings(deadline=None, max_examples=30)
@given(BODIES)
def test_what_was_written_is_whole_and_signed(bodies):
    def work(path, hashes):
        assert len(set(hashes)) == len(bodies)
        assert verify_log(path, public_raw(KEY)) == LogCheck(len(bodies), None, None, 0)

    with_log(bodies, work)


@settings(deadline=None, max_examples=80)
@given(BODIES, st.data())
def test_a_changed_byte_is_found_in_its_line(bodies, data):
    def work(path, _):
        stored = path.read_bytes()
        at = data.draw(st.integers(0, len(stored) - 2))
        byte = data.draw(st.integers(0, 255).filter(lambda value: value != stored[at]))
        path.write_bytes(stored[:at] + bytes([byte]) + stored[at + 1 :])
        check = verify_log(path, public_raw(KEY))
        assert check.first_bad == stored[:at].count(b"\n") + 1
        assert check.what == "altered"

    with_log(bodies, work)


@settings(deadline=None, max_examples=60)
@given(BODIES, st.data())
def test_lines_in_another_order_are_found_where_the_first_moved(bodies, data):
    def work(path, _):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = data.draw(st.permutations(range(len(lines))))
        kept = kept[: data.draw(st.integers(0, len(lines)))]
        path.write_bytes(b"".join(lines[at] for at in kept))
        check = verify_log(path, public_raw(KEY))
        wrong = [place for place, at in enumerate(kept) if place != at]
        assert check.first_bad == (wrong[0] + 1 if wrong else None)
        assert check.what in ({"deleted", "reordered"} if wrong else {None})

    with_log(bodies, work)


@settings(deadline=None, max_examples=40)
@given(BODIES, st.data())
def test_a_cut_anywhere_is_found_against_the_other_side(bodies, data):
    def work(path, _):
        kept = AuditLog(path).head()
        stored = path.read_bytes()
        left = data.draw(st.integers(0, len(stored) - 1))
        path.write_bytes(stored[:left])
        whole = stored[:left].count(b"\n")
        torn = left - (stored[:left].rfind(b"\n") + 1)
        assert verify_log(path, public_raw(KEY), [kept]) == LogCheck(
            whole, whole + 1, "truncated", torn
        )

    with_log(bodies, work)
