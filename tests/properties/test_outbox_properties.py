import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from toy_platforms import PLAN, write_receipts

from isthmus.audit_log import verify_log
from isthmus.errors import OutboxError
from isthmus.parameters import Private, Shared
from isthmus.records import pack, unpack
from isthmus_client.outbox import Outbox
from isthmus_client.receipts import append_receipt

shapes = hnp.array_shapes(min_dims=0, max_dims=3, max_side=4, min_side=0)
any_float = st.floats(width=32)
names = st.text("abc/._é", min_size=1, max_size=6)


def tensors(elements):
    return st.dictionaries(
        names, shapes.flatmap(lambda s: hnp.arrays(np.float32, s, elements=elements)), max_size=4
    )


@settings(deadline=None)
@given(tensors(any_float))
def test_every_tensor_survives_the_wire_bit_for_bit(values):
    sent = Shared(values)
    assert unpack(pack(sent)).fingerprint() == sent.fingerprint()


def try_to_send(delta, received) -> tuple[bool, int]:
    """Whether it left, and how many receipts there are."""
    with tempfile.TemporaryDirectory() as folder:
        outbox = Outbox("p", Path(folder) / "p.jsonl")
        plan = replace(PLAN, run_id="r", round=1)
        try:
            outbox.send_update(delta, received=received, users=1, metrics={}, plan=plan)
        except OutboxError:
            return False, verify_log(outbox.receipts).lines
        return True, verify_log(outbox.receipts).lines


@settings(max_examples=60, deadline=None)
@given(tensors(any_float), tensors(any_float), st.booleans())
def test_an_update_leaves_exactly_if_it_is_like_the_parameters_and_finite(one, other, alike):
    received, delta = Shared(other), Shared(one if not alike else other)
    fits = delta.shapes() == received.shapes() and delta.is_finite()
    assert try_to_send(delta, received) == (fits, int(fits))


@settings(max_examples=30, deadline=None)
@given(tensors(st.floats(-1, 1, width=32)))
def test_nothing_private_ever_leaves(values):
    assert try_to_send(Private(values), Shared(values)) == (False, 0)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_changed_byte_breaks_the_chain_at_its_line(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        write_receipts(path, 3)
        text = bytearray(path.read_bytes())
        place = data.draw(st.integers(0, len(text) - 1))
        value = data.draw(st.integers(0, 255).filter(lambda v: v != text[place]))
        line = text[:place].count(b"\n") + 1
        text[place] = value
        path.write_bytes(bytes(text))
        check = verify_log(path)
        last_newline_lost = place == len(text) - 1
        assert check.torn > 0 if last_newline_lost else check.first_bad == line


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_file_cut_anywhere_goes_on_as_a_whole_chain(place):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        write_receipts(path, 3)
        data = path.read_bytes()
        path.write_bytes(data[: place % (len(data) + 1)])
        append_receipt(path, {"round": 9})
        check = verify_log(path)
        assert (check.first_bad, check.torn) == (None, 0)
