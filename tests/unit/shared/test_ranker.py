"""The shared ranker: round 0 is a plain mixture, the same bytes everywhere."""

import numpy as np
import pytest
import torch

from isthmus.border import split
from isthmus.ranker import SIGNALS, START, RankerConfig, SharedRanker, initial_ranker


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def trained():
    """A ranker of a later round: its hidden layer speaks."""
    ranker = initial_ranker(RankerConfig(), seed=4)
    with torch.no_grad():
        for place, parameter in enumerate(ranker.parameters()):
            parameter.add_(0.3 * drawn(*parameter.shape, seed=place))
    return ranker


def test_round_zero_is_the_plain_mixture():
    signals = drawn(3, len(SIGNALS), 7)
    expected = sum(w * signals[:, SIGNALS.index(name)] for name, w in START.items())
    scores = initial_ranker(RankerConfig(), seed=11)(signals)
    torch.testing.assert_close(scores, expected)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    one, two, other = (split(initial_ranker(RankerConfig(), seed=s))[0] for s in (5, 5, 6))
    assert one.fingerprint() == two.fingerprint()
    assert one.fingerprint() != other.fingerprint()


def test_the_random_state_of_the_process_plays_no_part_and_stays():
    torch.manual_seed(1)
    before, one = torch.get_rng_state(), split(initial_ranker(RankerConfig(), seed=5))[0]
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert split(initial_ranker(RankerConfig(), seed=5))[0].fingerprint() == one.fingerprint()


def test_all_of_it_is_shared_and_finite():
    shared, private = split(initial_ranker(RankerConfig(), seed=5))
    assert set(shared.tensors) == {"linear.weight", "widen.weight", "widen.bias", "narrow.weight"}
    assert private.size == 0
    assert shared.is_finite()
    assert shared.size * 4 < 2**12  # a round costs less than four kibibytes each way


def test_the_start_names_signals_that_exist_once():
    assert set(START) < set(SIGNALS)
    assert len(set(SIGNALS)) == len(SIGNALS) == RankerConfig().signals


def test_scores_are_those_of_a_loop_over_items(trained):
    signals = drawn(2, len(SIGNALS), 5, seed=9)
    weights = {
        name: tensor.astype(np.float64) for name, tensor in split(trained)[0].tensors.items()
    }
    expected = np.empty((2, 5))
    for user in range(2):
        for item in range(5):
            x = signals[user, :, item].double().numpy()
            hidden = np.maximum(weights["widen.weight"] @ x + weights["widen.bias"], 0.0)
            score = weights["linear.weight"] @ x + weights["narrow.weight"] @ hidden
            expected[user, item] = score.item()
    with torch.no_grad():
        np.testing.assert_allclose(trained(signals).numpy(), expected, rtol=1e-5, atol=1e-5)


def test_permuting_items_permutes_scores(trained):
    signals, order = drawn(4, len(SIGNALS), 9, seed=2), torch.tensor([3, 1, 8, 0, 2, 7, 6, 4, 5])
    with torch.no_grad():
        torch.testing.assert_close(trained(signals[..., order]), trained(signals)[..., order])


def test_other_shapes_are_possible():
    ranker = SharedRanker(RankerConfig(signals=3, hidden=2))
    assert ranker(drawn(6, 3, 4)).shape == (6, 4)
