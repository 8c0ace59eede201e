"""A platform that is saved and loaded is the same, value by value and bit by bit."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isthmus.behaviours import BEHAVIOURS
from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories, Split
from isthmus_client.platform import Platform
from isthmus_client.platform_files import load_platform, save_platform

WORD = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ARRAYS = ("offsets", "items", "behaviours", "times")


@st.composite
def platforms(draw):
    item_ids = draw(st.lists(WORD, min_size=1, max_size=6, unique=True))
    user_ids = draw(st.lists(WORD, max_size=5, unique=True))
    count, users = len(item_ids), len(user_ids)
    lengths = draw(st.lists(st.integers(2, 4), min_size=users, max_size=users))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    events = int(offsets[-1])
    catalogue = Catalogue(
        tuple(item_ids),
        tuple(draw(st.lists(WORD, min_size=count, max_size=count))),
        tuple(draw(st.lists(WORD, min_size=count, max_size=count))),
        draw(arrays(np.float32, count, elements=st.floats(width=32))),
    )
    histories = Histories(
        tuple(user_ids),
        offsets,
        draw(arrays(np.int32, events, elements=st.integers(0, count - 1))),
        draw(arrays(np.int8, events, elements=st.integers(1, len(BEHAVIOURS)))),
        draw(arrays(np.int64, events, elements=st.integers(0, 4_000_000_000))),
        timed=draw(st.booleans()),
    )
    split = Split(
        draw(st.sampled_from(["time", "leave-one-out"])), offsets[:-1] + 1, offsets[:-1] + 2
    )
    width = draw(st.integers(1, 4))
    vectors = draw(arrays(np.float32, (count, width), elements=st.floats(width=32)))
    return Platform(draw(st.text("abc-", min_size=1)), catalogue, vectors, histories, split)


def same_bits(one, other):
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


@settings(deadline=None, max_examples=60)
@given(platforms())
def test_saving_and_loading_changes_nothing(platform):
    with TemporaryDirectory() as scratch:
        folder = Path(scratch) / "platform"
        save_platform(platform, folder)
        loaded = load_platform(folder)
        assert [path.name for path in Path(scratch).iterdir()] == ["platform"]
    assert loaded.name == platform.name
    assert loaded.catalogue.item_ids == platform.catalogue.item_ids
    assert loaded.catalogue.texts == platform.catalogue.texts
    assert loaded.catalogue.categories == platform.catalogue.categories
    assert same_bits(loaded.catalogue.prices, platform.catalogue.prices)
    assert same_bits(loaded.vectors, platform.vectors)
    assert loaded.histories.user_ids == platform.histories.user_ids
    assert loaded.histories.timed == platform.histories.timed
    assert all(
        same_bits(getattr(loaded.histories, name), getattr(platform.histories, name))
        for name in ARRAYS
    )
    assert loaded.split.kind == platform.split.kind
    assert same_bits(loaded.split.train_stop, platform.split.train_stop)
    assert same_bits(loaded.split.validation_stop, platform.split.validation_stop)
