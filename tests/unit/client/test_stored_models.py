"""A stored model measures as the model did, and a damaged one is told apart."""

import numpy as np
import pytest
from certified_run import ITEMS, judged, personal_model, release, small_workspace

from isthmus.errors import DataInvalidError, DataMissingError, KeysError, StoreError
from isthmus_client.evaluate import Evaluator
from isthmus_client.stored_models import (
    StoredModel,
    content_model,
    full_model,
    item_knn_model,
    measure,
    popularity_model,
    ranked_model,
    read_models,
    write_models,
)


@pytest.fixture(scope="module")
def gate():
    return Evaluator(small_workspace(), "validation", "gate")


def test_every_kind_measures_as_the_model_itself_after_a_trip_to_disk(gate, tmp_path):
    bias = np.random.default_rng(0).normal(size=ITEMS)
    expected = {
        "popularity": (popularity_model(), gate.popularity()),
        "knn": (item_knn_model(3), gate.item_knn(3)),
        "content": (content_model(release()), gate.content(release())),
        "full": (full_model(personal_model(bias)), gate.model(personal_model(bias))),
        "ranks": (ranked_model(gate.item_knn(5), {"neighbours": 5}), gate.item_knn(5)),
    }
    write_models({name: model for name, (model, _) in expected.items()}, tmp_path)
    found = read_models(tuple(expected), tmp_path)
    for name, (model, ranking) in expected.items():
        assert found[name].fingerprint() == model.fingerprint()
        np.testing.assert_array_equal(measure(found[name], gate), ranking.ndcg)
    qualities = {name: measure(model, gate).tobytes() for name, model in found.items()}
    assert len(set(qualities.values())) == len(expected), "the models are no copies of each other"


def test_the_fingerprint_follows_kind_settings_and_values():
    models = list(judged(small_workspace()).models.values())
    models += [item_knn_model(21), content_model(release(seed=3)), full_model(personal_model(1.0))]
    assert len({model.fingerprint() for model in models}) == len(models)
    assert content_model(release()).fingerprint() == content_model(release()).fingerprint()


def test_ranks_of_other_users_are_refused(gate):
    other = Evaluator(small_workspace(users=60), "validation", "gate")
    with pytest.raises(DataInvalidError, match="other users or targets"):
        measure(ranked_model(other.popularity(), {}), gate)


def test_a_model_of_another_catalogue_is_refused(gate):
    small = personal_model(0.0)
    small.private.bias.data = small.private.bias.data[:3]
    with pytest.raises(DataInvalidError, match="does not fit shop"):
        measure(full_model(small), gate)
    with pytest.raises(DataInvalidError, match="item_knn"):
        measure(StoredModel("item_knn", {}, {}), gate)


def test_a_model_that_is_not_there_or_damaged(tmp_path):
    with pytest.raises(DataMissingError, match=r"gone\.safetensors"):
        read_models(("gone",), tmp_path)
    write_models({"knn": item_knn_model(3)}, tmp_path)
    whole = (tmp_path / "knn.safetensors").read_bytes()
    for damaged in (whole[:9], whole.replace(b"item_knn", b"item_kNN"), b""):
        (tmp_path / "knn.safetensors").write_bytes(damaged)
        with pytest.raises(DataInvalidError, match="damaged"):
            read_models(("knn",), tmp_path)


def test_a_sealed_head_opens_with_its_key_and_name_alone(tmp_path):
    key, other = bytes(range(32)), bytes(32)
    bias = np.linspace(0.5, 1.5, ITEMS)
    models = {"own": full_model(personal_model(bias)), "knn": item_knn_model(3)}
    write_models(models, tmp_path, key=key)
    found = read_models(("own", "knn"), tmp_path, key=key)
    assert {name: model.fingerprint() for name, model in found.items()} == {
        name: model.fingerprint() for name, model in models.items()
    }
    with pytest.raises(KeysError, match="other keys"):
        read_models(("own",), tmp_path, key=other)
    (tmp_path / "knn.sealed").replace(tmp_path / "own.sealed")
    with pytest.raises(StoreError, match="altered"):
        read_models(("own",), tmp_path, key=key)


def test_nothing_of_a_sealed_head_is_on_the_disk(tmp_path):
    bias = np.linspace(0.5, 1.5, ITEMS)
    write_models({"own": full_model(personal_model(bias))}, tmp_path, key=bytes(range(32)))
    write_models({"own": full_model(personal_model(bias))}, tmp_path / "open")
    planted = bias.astype(np.float32).tobytes()
    assert planted in (tmp_path / "open" / "own.safetensors").read_bytes()
    sealed = (tmp_path / "own.sealed").read_bytes()
    assert planted not in sealed
    assert b"safetensors" not in sealed
    assert b"kind" not in sealed
    assert (tmp_path / "own.sealed").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["own.sealed"]
