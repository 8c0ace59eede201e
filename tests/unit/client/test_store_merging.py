import numpy as np
import pytest

from isthmus_client.store.columns import EventColumns, joined
from isthmus_client.store.merging import ADDED, ALREADY, DUPLICATE, merge

MAY = 1_714_521_600


def events(rows, *, prices=True):
    """Rows are (user, item, second, price, feed, line)."""
    user, item, second, price, feed, line = zip(*rows, strict=True) if rows else [()] * 6
    return EventColumns(
        user=np.array(user, np.int32),
        item=np.array(item, np.int32),
        time=np.array(second, np.int64) + MAY,
        behaviour=np.ones(len(rows), np.int8),
        feed=np.array(feed, np.int32),
        line=np.array(line, np.int64),
        price=np.array(price, np.float32) if prices else None,
    )


def truth(stored, new, duplicates, ranks):
    """The slow way: one event after the other."""
    kept, fate = list(stored), []
    for row in new:
        content, feed = row[:4], row[4]
        if duplicates == "keep":
            had = sum(r[:4] == content and r[4] == feed for r in stored)
            seen = sum(r[:4] == content and r[4] == feed for r in new[: len(fate)])
            fate.append(ALREADY if seen < had else ADDED)
        elif any(r[:4] == content and r[4] == feed for r in new[: len(fate)]):
            fate.append(DUPLICATE)
        else:
            there = any(r[:4] == content for r in [*stored, *new[: len(fate)]])
            fate.append(ALREADY if there else ADDED)
        if fate[-1] == ADDED:
            kept.append(row)
    return sorted(kept, key=lambda r: (r[0], r[2], ranks[r[4]], r[5])), fate


def drawn(random, count, feeds):
    found = []
    for line in range(count):
        user, item, second = (int(random.integers(3)) for _ in range(3))
        feed = feeds[line * len(feeds) // count]
        found.append((user, item, second, float(random.choice([1.5, 2.5])), feed, line))
    return found


@pytest.mark.parametrize("duplicates", ["reject", "keep"])
@pytest.mark.parametrize("seed", range(12))
def test_a_merge_is_that_of_a_plain_loop(seed, duplicates):
    random = np.random.default_rng(seed)
    ranks = np.array([2, 0, 1], np.int32)
    before, _ = truth([], drawn(random, 17, [0, 1]), duplicates, ranks)
    new = drawn(random, 29, [1, 2])
    merged = merge(events(before), events(new), ranks=ranks, duplicates=duplicates)
    kept, fate = truth(before, new, duplicates, ranks)
    assert merged.fate.tolist() == fate
    found = merged.events
    rows = np.stack([found.user, found.time - MAY, found.feed, found.line], axis=1)
    assert [tuple(row) for row in rows.tolist()] == [(r[0], r[2], r[4], r[5]) for r in kept]


def test_two_unknown_prices_are_equal_and_one_is_not():
    new = events([(0, 1, 5, np.nan, 0, 1), (0, 1, 5, np.nan, 0, 2), (0, 1, 5, 3.5, 0, 3)])
    merged = merge(EventColumns.empty(), new, ranks=np.zeros(1, np.int32), duplicates="reject")
    assert merged.fate.tolist() == [ADDED, DUPLICATE, ADDED]


def test_a_column_that_a_feed_lacks_is_unknown():
    rows = [(0, 1, 5, np.nan, 0, 1)]
    merged = merge(
        events(rows), events(rows, prices=False), ranks=np.zeros(1, np.int32), duplicates="reject"
    )
    assert merged.fate.tolist() == [ALREADY]


def test_a_month_of_nothing():
    merged = merge(
        EventColumns.empty(), events([]), ranks=np.zeros(0, np.int32), duplicates="reject"
    )
    assert len(merged.events) == 0
    assert len(joined([])) == 0
