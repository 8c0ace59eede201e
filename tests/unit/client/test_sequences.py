"""Training windows: examples by hand; tests/properties holds the comparison with a loop."""

import numpy as np
import pytest
from planted_histories import PURCHASE, RETURN, histories_of

from isthmus.encoder import GAP_BUCKETS
from isthmus_client.sequences import Sequences, gap_buckets

MINUTE, HOUR, YEAR = 60, 3600, 365 * 24 * 3600


def sequences(histories, stop=None, max_events=10, horizon=5):
    stop = histories.offsets[1:] if stop is None else np.array(stop)
    return Sequences(histories, stop, max_events=max_events, horizon=horizon)


def draw(made, users=(0,), seed=0):
    return made.training_batch(np.array(users, np.int64), np.random.default_rng(seed))


def targets_seen(made, draws=60):
    """Every target that ever comes up, by position. For one user whose window is the same."""
    return [
        sorted(set(column))
        for column in np.concatenate([draw(made, seed=k).targets for k in range(draws)]).T.tolist()
    ]


def test_a_target_is_one_of_the_next_new_items():
    assert targets_seen(sequences(histories_of([3, 1, 3, 4, 1, 5]), horizon=2)) == [
        [1, 4],
        [4, 5],
        [4, 5],
        [5],
        [5],
        [-1],
    ]


def test_the_rest_of_a_basket_is_no_target():
    basket = [(3, 0), (1, 0), (4, 0), (1, 60), (5, 60)]
    assert targets_seen(sequences(histories_of(basket))) == [[5], [5], [5], [-1], [-1]]


def test_without_times_every_event_is_a_moment_of_its_own():
    basket = [(3, 0), (1, 0), (4, 0)]
    made = sequences(histories_of(basket, timed=False))
    assert targets_seen(made) == [[1, 4], [4], [-1]]


def test_a_return_is_no_target_and_what_was_returned_is_not_new():
    user = [3, (1, 60, RETURN), (1, 120, PURCHASE), 4]
    assert targets_seen(sequences(histories_of(user))) == [[4], [4], [4], [-1]]


def test_nothing_past_the_stop_is_a_target():
    made = sequences(histories_of([3, 1, 4, 5], [6, 7]), stop=[2, 4])
    assert targets_seen(made) == [[1], [-1]]
    assert made.training_users.tolist() == [0]


def test_a_long_history_ends_among_its_latest_events():
    made = sequences(histories_of(list(range(100))), max_events=10)
    ends = {int(draw(made, seed=k).items[0, -1]) for k in range(200)}
    assert ends == set(range(89, 100))


@pytest.mark.parametrize("events", [1, 2, 9, 10])
def test_a_short_history_is_taken_whole(events):
    made = sequences(histories_of(list(range(events)), [7, 8]), max_events=10)
    for seed in range(20):
        assert draw(made, [0, 1], seed).items[0, :events].tolist() == list(range(events))


def test_the_same_generator_draws_the_same_batch():
    made = sequences(histories_of(list(range(40)), list(range(30))), max_events=6)
    one, again, other = (draw(made, [0, 1], seed) for seed in (5, 5, 6))
    assert one.items.tolist() == again.items.tolist()
    assert one.targets.tolist() == again.targets.tolist()
    assert one.targets.tolist() != other.targets.tolist()


def test_users_come_in_the_order_asked_for():
    made = sequences(histories_of([1, 2], [3, 4, 5], [6]))
    assert made.latest(np.array([2, 0])).items.tolist() == [[6, -1], [1, 2]]


def test_a_user_without_a_history_is_all_padding():
    batch = sequences(histories_of([1, 2], []), stop=[0, 2]).latest(np.array([0, 1]))
    assert batch.items.tolist() == [[-1], [-1]]
    assert batch.lengths.tolist() == [0, 0]


def test_a_platform_without_events():
    assert sequences(histories_of([], [])).training_users.tolist() == []
    assert draw(sequences(histories_of()), users=()).items.shape == (0, 1)


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [
        (0, 1),
        (1, 2),
        (3 * MINUTE, 2),
        (3 * MINUTE + 1, 3),
        (15 * MINUTE, 3),
        (HOUR, 4),
        (YEAR, 11),
        (10_000 * YEAR, GAP_BUCKETS - 1),
    ],
)
def test_gap_buckets_grow_by_factors_of_four(seconds, bucket):
    assert gap_buckets(histories_of([(1, 1000), (2, 1000 + seconds)])).tolist() == [0, bucket]


def test_gaps_do_not_cross_users():
    made = gap_buckets(histories_of([(1, 0)], [], [(1, 9000), (1, 9000)], []))
    assert made.tolist() == [0, 0, 1]


def test_untimed_data_has_no_gaps():
    assert gap_buckets(histories_of([1, 2, 3], timed=False)).tolist() == [0, 0, 0]


def test_plain_targets_are_the_next_events_repeats_and_baskets_included():
    made = sequences(histories_of([(3, 0), (1, 0), (3, 60), (3, 60)], [7, 8, 9]), stop=[4, 6])
    batch = made.training_batch(np.array([0, 1]), np.random.default_rng(0), targets="next")
    assert batch.items.tolist() == [[3, 1, 3, 3], [7, 8, -1, -1]]
    assert batch.targets.tolist() == [[1, 3, 3, -1], [8, -1, -1, -1]]


def test_window_lengths_are_those_of_every_draw():
    made = sequences(histories_of([1, 2, 3, 4, 5, 6, 7], [1, 2, 3], [1, 2]), max_events=4)
    users = np.array([2, 0, 1])
    assert made.window_lengths(users).tolist() == [2, 4, 3]
    for seed in range(20):
        assert draw(made, users, seed).lengths.tolist() == [2, 4, 3]


def test_trimming_leaves_the_columns_up_to_the_last_target():
    made = sequences(histories_of([3, 1, 3, 3], [7, 7, 7]))
    batch = draw(made, (0, 1))
    assert batch.targets.tolist() == [[1, -1, -1, -1], [-1, -1, -1, -1]]
    assert batch.trimmed().items.tolist() == [[3], [7]]
    assert draw(made, (1,)).trimmed().items.tolist() == [[7]]
