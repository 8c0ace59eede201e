"""Fitting at home leaves its start alone; trees on top are used in the way that ranks best."""

import numpy as np
import pytest
import torch
from planted_histories import histories_of, platform_of, random_platform
from planted_rule import RuleWorld, everyone_trains, rule_workspace

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client import ranker_fitting
from isthmus_client.boosting import CAUTIOUS
from isthmus_client.mixing import FEWEST
from isthmus_client.ranker_fitting import at_home, fit_ranker, with_trees
from isthmus_client.ranker_model import RankerModel
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
    settings = {"epochs": 4, "patience": 0, "seed": 0, **changes}
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


def test_a_rule_is_learned(ruled):
    made = fitted(ruled)
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


def test_without_examples_the_start_is_returned():
    nobody = Workspace(platform_of(histories_of(), 5), CONFIG.max_events)
    catalogue = Workspace(random_platform(users=20), CONFIG.max_events, np.zeros(0, np.int64))
    for workspace in (nobody, catalogue):
        made = fitted(trainer_of(workspace))
        assert fingerprint(made.ranker) == fingerprint(start())
        assert (len(made.curve), made.best, made.curve[0].ndcg) == (1, 0, None)


def test_progress_counts_passes(ruled):
    seen = []
    fitted(ruled, epochs=3, advance=seen.append)
    assert seen == [1, 1, 1]


def model_of(trainer):
    return RankerModel(trainer.encoder, start())


def test_trees_learn_a_rule_that_the_ranker_does_not_know(ruled):
    before = ruled.judge.rank(start()).mean_ndcg
    made = with_trees(ruled, model_of(ruled), seed=0)
    assert made.trees is not None
    assert ruled.judge.compare(made.ranker, (made.trees,))[0].mean_ndcg > before + 0.05
    assert fingerprint(made.ranker) == fingerprint(start())


def test_the_same_seed_grows_the_same_trees(ruled):
    again = trainer_of(everyone_trains(rule_workspace(RuleWorld(seed=3), 0)))
    one, other = (with_trees(t, model_of(t), seed=5).trees for t in (ruled, again))
    assert one == other


def test_where_few_can_judge_the_trees_are_used_with_caution():
    trainer = trainer_of(rule_workspace(RuleWorld(seed=3, training=2 * FEWEST - 2), 0))
    assert 0 < trainer.judge.rank(start()).users.size < FEWEST
    trees = with_trees(trainer, model_of(trainer), seed=0).trees
    assert trees is not None
    assert (trees.count, trees.share, trees.stacked) == (*CAUTIOUS, False)


@pytest.mark.parametrize("listers", [100, 101])
def test_a_list_that_few_users_stand_behind_pushes_nothing_down(monkeypatch, ruled, listers):
    monkeypatch.setattr(ranker_fitting, "LISTERS", listers)
    assert ruled.data.workspace.sequences.training_users.size == 100
    trees = with_trees(ruled, model_of(ruled), seed=0).trees
    assert trees is not None
    assert trees.on_top == (listers == 100)


def test_without_examples_no_trees_grow():
    catalogue = Workspace(random_platform(users=20), CONFIG.max_events, np.zeros(0, np.int64))
    trainer = trainer_of(catalogue)
    made = at_home(trainer, model_of(trainer), None, seed=0)
    assert (made.trees, made.beside) == (None, None)
