"""Training alone: the federation's own start and budget, and the best of what was seen."""

import pytest
import torch
from planted_histories import histories_of, platform_of, random_platform

from isthmus.border import split
from isthmus.encoder import EncoderConfig
from isthmus_client.evaluate import Evaluator
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.local_training import Keeper, train_alone
from isthmus_client.training import Settings
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)
SETTINGS = Settings(batch_size=8, negatives=12, learning_rate=0.02)


def state(value):
    return {"w": torch.tensor([float(value)])}


def kept(keeper):
    return keeper.restore()["w"].item()


def test_the_best_state_is_kept():
    keeper = Keeper(patience=0)
    for step, score in enumerate([0.1, 0.4, 0.3, 0.2]):
        keeper.note(step, score, state(step))
    assert (kept(keeper), keeper.best) == (1, 1)
    assert [point.ndcg for point in keeper.curve] == [0.1, 0.4, 0.3, 0.2]


def test_among_equals_the_earliest_is_kept():
    keeper = Keeper(patience=0)
    for step in range(3):
        keeper.note(step, 0.5, state(step))
    assert kept(keeper) == 0


def test_later_changes_of_a_state_do_not_reach_in():
    keeper, live = Keeper(patience=0), state(1)
    keeper.note(0, 0.5, live)
    live["w"].fill_(9)
    assert kept(keeper) == 1


@pytest.mark.parametrize(
    ("patience", "stops"),
    [
        (0, [False] * 6),
        (1, [False, False, True, True, False, True]),
        (2, [False, False, False, True, False, False]),
    ],
)
def test_patience_counts_the_scores_since_the_best(patience, stops):
    keeper = Keeper(patience)
    scores = [0.1, 0.4, 0.3, 0.2, 0.5, 0.1]
    assert [keeper.note(step, s, state(step)) for step, s in enumerate(scores)] == stops


def test_without_scores_the_last_state_is_kept():
    """Nothing can be stopped by: the whole budget is used."""
    keeper = Keeper(patience=1)
    assert not any(keeper.note(step, None, state(step)) for step in range(4))
    assert kept(keeper) == 3


def test_a_score_of_zero_is_a_score():
    keeper = Keeper(patience=0)
    keeper.note(0, 0.0, state(0))
    keeper.note(1, 0.0, state(1))
    assert kept(keeper) == 0


@pytest.fixture(scope="module")
def workspace():
    return Workspace(random_platform(users=30, seed=3), max_events=6)


def alone(workspace, *, epochs=4, patience=0, seed=1, **more):
    return train_alone(
        workspace, CONFIG, SETTINGS, epochs=epochs, patience=patience, seed=seed, **more
    )


def test_the_encoder_is_the_curves_best(workspace):
    run = alone(workspace)
    scores = [point.ndcg for point in run.curve]
    assert [point.step for point in run.curve] == [0, 1, 2, 3, 4]
    assert scores[run.best] == max(scores)
    evaluator = Evaluator(workspace, "validation", purpose="tuning")
    assert evaluator.content(run.encoder).mean_ndcg == scores[run.best]
    seconds = [point.seconds for point in run.curve]
    assert seconds == sorted(seconds)


def test_it_starts_where_the_federation_starts(workspace):
    run = alone(workspace, epochs=0)
    assert split(run.encoder)[0].fingerprint() == initial_parameters(CONFIG, 1).fingerprint()


def test_the_same_seed_gives_the_same_bytes(workspace):
    one, again, other = (alone(workspace, seed=seed) for seed in (1, 1, 2))
    assert split(one.encoder)[0].fingerprint() == split(again.encoder)[0].fingerprint()
    assert split(one.encoder)[0].fingerprint() != split(other.encoder)[0].fingerprint()


def test_patience_saves_passes(workspace):
    passes = []
    whole = alone(workspace, epochs=12)
    brief = alone(workspace, epochs=12, patience=1, advance=passes.append)
    assert len(passes) == len(brief.curve) - 1 <= len(whole.curve) - 1
    assert brief.best in {len(brief.curve) - 1, len(brief.curve) - 2}
    assert brief.curve[0].ndcg == whole.curve[0].ndcg


@pytest.mark.parametrize(
    "platform",
    [
        platform_of(histories_of([0, 1, 2, 3, 4], [3]), 9),
        platform_of(histories_of([4], [2]), 9),
        platform_of(histories_of([0, 1, 2, 0], [2, 1, 0, 1]), 3),
    ],
)
def test_platforms_with_next_to_nothing(platform):
    run = alone(Workspace(platform, max_events=6), patience=1)
    assert split(run.encoder)[0].is_finite()
