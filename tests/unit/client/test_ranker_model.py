"""A ranker ranks the same through every door: contender, several at once, stored, tuning judge."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from planted_histories import random_platform

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.errors import DataInvalidError
from isthmus.ranker import SIGNALS, START, RankerConfig, initial_ranker
from isthmus_client import ranker_model
from isthmus_client.boosting import grow
from isthmus_client.evaluate import Evaluator
from isthmus_client.ranker_fitting import with_own
from isthmus_client.ranker_model import (
    SMOOTHING,
    Beside,
    RankerModel,
    TuningJudge,
    TuningSignals,
    rank_models,
)
from isthmus_client.ranker_trainer import RankerData
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.ranking import rank
from isthmus_client.signals.cut import window_cut
from isthmus_client.signals.table import SignalTable
from isthmus_client.stored_models import StoredModel, measure, read_models, write_models
from isthmus_client.stored_models import ranker_model as stored
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=6)


@pytest.fixture(scope="module")
def workspace():
    return Workspace(random_platform(users=70, items=30, seed=4), CONFIG.max_events)


def model(seed):
    """An encoder and a ranker of a later round."""
    encoder, ranker = initial_encoder(CONFIG, seed), initial_ranker(RankerConfig(), seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in (encoder.item.weight, ranker.narrow.weight, ranker.linear.weight):
            parameter.normal_(generator=random)
    return RankerModel(encoder, ranker)


def same(one, other):
    names = ("users", "ndcg", "hit", "reciprocal", "target_ranks", "target_rows", "target_items")
    equal = all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)
    return equal and one.coverage == other.coverage


@pytest.mark.parametrize("window", ["validation", "test"])
def test_several_at_once_rank_as_each_alone(workspace, window):
    models = {"one": model(1), "two": model(2), "round 0": model(1)}
    evaluator = Evaluator(workspace, window)
    together = rank_models(workspace, evaluator.window, evaluator.task, models)
    assert tuple(together) == tuple(models)
    for name, each in models.items():
        contender = each.contender(name, workspace)
        assert same(together[name], rank(evaluator.task, contender.scorer(window)))
    assert same(together["one"], together["round 0"])
    assert not same(together["one"], together["two"])


def test_scores_are_the_rankers_of_the_tables_signals(workspace):
    users, made = np.arange(70)[::-2], model(1)
    scores = made.contender("", workspace).scorer("test")(users)
    signals = SignalTable(workspace, window_cut(workspace, "test"), made.encoder).of(users)
    with torch.no_grad():
        expected = made.ranker(torch.from_numpy(signals)).numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_round_zero_ranks_by_the_plain_mixture(workspace):
    evaluator = Evaluator(workspace, "test")
    table = SignalTable(workspace, window_cut(workspace, "test"))

    def mixture(users):
        signals = table.of(users)
        return sum(w * signals[:, SIGNALS.index(name)] for name, w in START.items())

    start = RankerModel(initial_encoder(CONFIG, 1), initial_ranker(RankerConfig(), 7))
    made = evaluator.scorer(start.contender("", workspace).scorer("test"))
    np.testing.assert_allclose(made.ndcg, evaluator.scorer(mixture).ndcg, atol=1e-9)


def test_nobody_to_rank_for(workspace):
    scorer = model(1).contender("", workspace).scorer("test")
    assert scorer(np.zeros(0, np.int64)).shape == (0, 30)


def test_the_judge_ranks_the_tuning_users_as_serving_would(workspace):
    """Kept signals are rounded to float16, so a near tie may turn; no more."""
    made, evaluator = model(1), Evaluator(workspace, "validation", "tuning")
    judged = TuningJudge(TuningSignals(workspace), made.encoder).rank(made.ranker)
    served = evaluator.scorer(made.contender("", workspace).scorer("validation"))
    assert judged.users.tolist() == served.users.tolist()
    assert np.abs(judged.target_ranks - served.target_ranks).max() <= 1
    assert (judged.target_ranks == served.target_ranks).mean() > 0.9


def test_the_judge_is_the_same_again_and_for_another_encoder_another(workspace):
    signals = TuningSignals(workspace)
    one, again = (TuningJudge(signals, model(1).encoder).rank(model(1).ranker) for _ in range(2))
    assert same(one, again)
    assert not same(one, TuningJudge(signals, model(2).encoder).rank(model(1).ranker))


def test_models_that_are_compared_rank_as_each_alone(workspace):
    judge, own = TuningJudge(TuningSignals(workspace), model(1).encoder), model(2)
    beside = [Beside(own.contender("own", workspace), share) for share in (0.3, 0.6)]
    made = with_its_trees(workspace)
    ways = (made[0].trees, None, made[1].trees)
    together = judge.compare(model(1).ranker, ways, beside)
    alone = [judge.compare(model(1).ranker, (trees,))[0] for trees in ways]
    alone += [judge.compare(model(1).ranker, ways[:1], [one])[1] for one in beside]
    assert len(together) == len(alone) == 5
    assert all(same(*pair) for pair in zip(together, alone, strict=True))
    assert same(together[1], judge.rank(model(1).ranker))
    assert len({ranking.ndcg.tobytes() for ranking in together}) >= 4


def test_a_large_catalogue_tunes_on_fewer_users(workspace, monkeypatch):
    everyone = TuningSignals(workspace).task.users
    monkeypatch.setattr(ranker_model, "TUNING_CELLS", 30 * 12 + 29)
    few = TuningSignals(workspace)
    assert few.task.users.tolist() == everyone[:12].tolist()
    assert few.kept.shape == (12, len(SIGNALS), 30)
    monkeypatch.setattr(ranker_model, "TUNING_CELLS", 3)
    assert TuningSignals(workspace).task.users.size == 1


def test_a_stored_ranker_measures_as_itself_after_a_trip_to_disk(workspace, tmp_path):
    gate, made = Evaluator(workspace, "validation", "gate"), model(1)
    write_models({"ranker": stored(made)}, tmp_path)
    found = read_models(("ranker",), tmp_path)["ranker"]
    assert found.fingerprint() == stored(made).fingerprint() != stored(model(2)).fingerprint()
    ranking = gate.scorer(made.contender("", workspace).scorer("validation"))
    np.testing.assert_array_equal(measure(found, gate), ranking.ndcg)


def with_its_trees(workspace):
    """A model and trees of the platform's own, both kinds."""
    made, data = model(1), RankerData(workspace, 3, RankerSettings(hard=20))
    examples = data.examples.with_encoder(made.encoder)
    grown = grow(made.ranker, examples, listed=20, seed=3)
    assert grown is not None
    return [replace(made, trees=trees) for trees in (grown.cautious(), grown.stacked_ways()[0])]


def test_stored_trees_measure_as_themselves_through_every_door(workspace, tmp_path):
    gate, plain = Evaluator(workspace, "validation", "gate"), model(1)
    bare = gate.scorer(plain.contender("", workspace).scorer("validation"))
    for place, made in enumerate(with_its_trees(workspace)):
        write_models({"ranker": stored(made)}, tmp_path / str(place))
        found = read_models(("ranker",), tmp_path / str(place))["ranker"]
        assert found.fingerprint() == stored(made).fingerprint() != stored(plain).fingerprint()
        ranking = gate.scorer(made.contender("", workspace).scorer("validation"))
        together = rank_models(workspace, "validation", gate.task, {"": made})[""]
        np.testing.assert_array_equal(measure(found, gate), ranking.ndcg)
        np.testing.assert_array_equal(together.ndcg, ranking.ndcg)
        assert (ranking.target_ranks != bare.target_ranks).any()


def test_stored_trees_that_are_none_are_refused(workspace):
    gate, made = Evaluator(workspace, "validation", "gate"), with_its_trees(workspace)[0]
    whole = stored(made)
    broken = {**whole.tensors, "trees": np.frombuffer(b"no tree", dtype=np.uint8)}
    unused = {n: v for n, v in whole.settings.items() if n != "trees.count"}
    for settings, tensors in ((whole.settings, broken), (unused, whole.tensors)):
        with pytest.raises(DataInvalidError, match="a stored ranker model does not fit shop"):
            measure(StoredModel("ranker", settings, tensors), gate)


def test_a_stored_ranker_of_other_signals_is_refused(workspace):
    gate, made = Evaluator(workspace, "validation", "gate"), stored(model(1))
    fewer = {n: t[..., :5] if n == "ranker.linear.weight" else t for n, t in made.tensors.items()}
    missing = {n: t for n, t in made.tensors.items() if n != "ranker.widen.bias"}
    for tensors in (fewer, missing):
        with pytest.raises(DataInvalidError, match="a stored ranker model does not fit shop"):
            measure(StoredModel("ranker", made.settings, tensors), gate)


def test_fused_ranks_are_the_weighted_sum_of_reciprocal_ranks(workspace):
    own = model(2).contender("own", workspace)
    helped = replace(model(1), beside=Beside(own, 0.25))
    evaluator = Evaluator(workspace, "test")
    users, known = evaluator.task.users, evaluator.task.history
    parts = []
    for contender, share in ((model(1).contender("", workspace), 0.75), (own, 0.25)):
        scores = contender.scorer("test")(users)
        scores[known.nonzero()] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")
        ranks = np.argsort(order, axis=1, kind="stable") + 1
        parts.append(share / (SMOOTHING + ranks))
    expected = rank(evaluator.task, lambda asked: sum(parts)[np.searchsorted(users, asked)])
    found = rank_models(workspace, "test", evaluator.task, {"helped": helped})["helped"]
    np.testing.assert_allclose(found.ndcg, expected.ndcg, atol=1e-6)
    scorer = helped.contender("", workspace).scorer("test")
    assert same(found, rank(evaluator.task, scorer))


def test_an_own_model_without_a_sure_gain_is_not_fused_in(workspace):
    judge = TuningJudge(TuningSignals(workspace), model(1).encoder)
    same_again = model(1).contender("own", workspace)
    assert with_own(judge, model(1), same_again).beside is None
