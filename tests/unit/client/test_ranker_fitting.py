"""Fitting at home leaves its start alone, and leaves it behind only for what surely adds to it."""

import numpy as np
import pytest
import torch
from planted_histories import histories_of, platform_of, random_platform
from planted_rule import RuleWorld, everyone_trains, rule_workspace

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client.mixing import FEWEST
from isthmus_client.ranker_fitting import fit_ranker, fit_release
from isthmus_client.ranker_trainer import RankerData, RankerTrainer
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=12)
SETTINGS = RankerSettings(hard=40, uniform=40, targets=12, batch_size=8, learning_rate=1e-2)


def trainer_of(workspace):
    encoder = initial_encoder(CONFIG, seed=1)
    return RankerTrainer(RankerData(workspace, seed=2, settings=SETTINGS), encoder)


@pytest.fixture(scope="module")
def ruled():
    """A platform of a hundred users with a rule to learn."""
    return trainer_of(everyone_trains(rule_workspace(RuleWorld(seed=3), 0)))


def start():
    return initial_ranker(RankerConfig(), seed=4)


def fitted(trainer, ranker=None, **changes):
    settings = {"epochs": 4, "patience": 0, "seed": 0, "careful": False, **changes}
    return fit_ranker(trainer, ranker or start(), **settings)


def fingerprint(ranker):
    return split(ranker)[0].fingerprint()


def test_the_start_is_as_it_was(ruled):
    ranker = start()
    made = fitted(ruled, ranker)
    assert fingerprint(ranker) == fingerprint(start()) != fingerprint(made.ranker)
    assert all(parameter.grad is None for parameter in ranker.parameters())


def test_the_same_seed_gives_the_same_bytes(ruled):
    one = fitted(ruled)
    torch.manual_seed(1)
    again = fitted(trainer_of(everyone_trains(rule_workspace(RuleWorld(seed=3), 0))))
    assert fingerprint(one.ranker) == fingerprint(again.ranker)
    assert [p.ndcg for p in one.curve] == [p.ndcg for p in again.curve]
    assert fingerprint(fitted(ruled, seed=1).ranker) != fingerprint(one.ranker)


@pytest.mark.parametrize("careful", [False, True])
def test_a_rule_is_learned(ruled, careful):
    made = fitted(ruled, careful=careful)
    assert made.best > 0
    assert made.curve[made.best].ndcg > made.curve[0].ndcg + 0.1


def test_the_best_pass_is_kept(ruled):
    made = fitted(ruled)
    scores = [point.ndcg for point in made.curve]
    assert [point.step for point in made.curve] == [0, 1, 2, 3, 4]
    assert made.best == int(np.argmax(scores))
    assert ruled.judge.rank(made.ranker).mean_ndcg == scores[made.best]


def test_patience_ends_it(ruled):
    made = fitted(ruled, fitted(ruled).ranker, epochs=30, patience=2)
    assert len(made.curve) == made.best + 3 < 31


def test_a_handful_of_tuning_users_never_argues_a_release_away():
    workspace = rule_workspace(RuleWorld(seed=3, training=2 * FEWEST - 2), 0)
    trainer = trainer_of(workspace)
    assert 0 < trainer.judge.rank(start()).users.size < FEWEST
    assert len(trainer.examples) > FEWEST
    careful, bold = fitted(trainer, careful=True), fitted(trainer, careful=False)
    assert careful.best == 0
    assert fingerprint(careful.ranker) == fingerprint(start())
    assert bold.best > 0  # a gain was to be had, and is not believed


def test_where_there_is_no_rule_the_release_stays():
    world = RuleWorld(seed=3, strength=0.0)
    kept = [
        fitted(trainer_of(everyone_trains(rule_workspace(world, place))), careful=True).best == 0
        for place in range(3)
    ]
    assert sum(kept) >= 2  # one standard error is no proof: luck may pass once


def released(trainer, **changes):
    settings = {"epochs": 4, "patience": 0, "seed": 0, **changes}
    return fit_release(trainer, start(), **settings)


def test_a_release_is_fitted_at_the_strength_that_gains_most(ruled):
    tries = [fitted(ruled, careful=True, strength=strength) for strength in (1 / 3, 1.0)]
    assert tries[0].gain != tries[1].gain
    seen = []
    made = released(ruled, advance=seen.append)
    assert made.gain == max(each.gain for each in tries) > 0
    assert fingerprint(made.ranker) in {fingerprint(each.ranker) for each in tries}
    assert seen == [4]


def test_a_release_is_kept_where_few_can_judge():
    trainer = trainer_of(rule_workspace(RuleWorld(seed=3, training=2 * FEWEST - 2), 0))
    made = released(trainer)
    assert (made.best, made.gain) == (0, 0.0)
    assert fingerprint(made.ranker) == fingerprint(start())


@pytest.mark.parametrize("careful", [False, True])
def test_without_examples_the_start_is_returned(careful):
    nobody = Workspace(platform_of(histories_of(), 5), CONFIG.max_events)
    catalogue = Workspace(random_platform(users=20), CONFIG.max_events, np.zeros(0, np.int64))
    for workspace in (nobody, catalogue):
        made = fitted(trainer_of(workspace), careful=careful)
        assert fingerprint(made.ranker) == fingerprint(start())
        assert (len(made.curve), made.best, made.curve[0].ndcg) == (1, 0, None)


def test_progress_counts_passes(ruled):
    seen = []
    fitted(ruled, epochs=3, advance=seen.append)
    assert seen == [1, 1, 1]
