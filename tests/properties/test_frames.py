"""What was joined comes apart again, and what was cut off never does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import MessageRefusedError
from isthmus.frames import join, split

PARTS = st.lists(st.binary(max_size=40), max_size=6)


@given(PARTS)
def test_parts_come_back(parts):
    assert split(join(parts)) == parts


@given(PARTS.filter(bool), st.data())
def test_a_body_that_is_cut_off_inside_its_last_part_is_refused(parts, data):
    body = join(parts)
    kept = len(body) - data.draw(st.integers(1, len(parts[-1]) + 3))
    with pytest.raises(MessageRefusedError, match="cut off"):
        split(body[:kept])
