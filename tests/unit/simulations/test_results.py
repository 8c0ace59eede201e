"""results.json: the promised names, the round trip, what is refused, and its documentation."""

import json
import re
import typing
from pathlib import Path

import pytest
from example_results import example_results
from pydantic import BaseModel, ValidationError

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.statistics import paired_bootstrap
from isthmus_simulations.results import (
    MODELS,
    BucketMetrics,
    Metrics,
    Newcomer,
    PairedDifference,
    Results,
)

SCHEMA = Path(__file__).parents[3] / "docs" / "results-schema.md"


@pytest.fixture(scope="module")
def results():
    return example_results()


def test_the_promised_paths_are_there(results):
    read = json.loads(results.to_json())
    platform = read["platforms"]["nutrition"]
    assert set(platform["models"]) == set(MODELS)
    assert platform["models"]["federated"]["ndcg@10"] == 0.1204
    assert {"hr@10", "mrr", "coverage@10", "users"} < set(platform["models"]["pooled"])
    assert {"users", "items", "events", "training_users", "test_users"} < set(platform)
    assert {"decision", "served", "difference", "low", "high"} < set(platform["gate"])
    assert platform["curves"]["federated"][3]["ndcg@10"] > 0
    assert platform["buckets"]["item"]["10+"]["local"]["users"] > 0
    assert {"cost", "privacy", "config", "versions", "newcomer"} < set(read)
    assert read["schema_version"] == 1


def test_save_and_load_give_the_same_value_and_bytes(results, tmp_path):
    path = tmp_path / "run" / "results.json"
    results.save(path)
    first = path.read_bytes()
    read = Results.load(path)
    assert read == results
    read.save(path)
    assert path.read_bytes() == first
    assert [entry.name for entry in path.parent.iterdir()] == ["results.json"]


def test_order_is_kept(results, tmp_path):
    platforms = dict(reversed(results.platforms.items()))
    example_results(platforms=platforms).save(tmp_path / "results.json")
    assert list(Results.load(tmp_path / "results.json").platforms) == list(platforms)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_figure_that_is_no_share_is_refused(value):
    with pytest.raises(ValidationError):
        Metrics(ndcg=value, users=3)


def test_names_and_aliases_are_both_understood():
    named = BucketMetrics(ndcg=0.25, users=3)
    assert BucketMetrics.model_validate({"ndcg@10": 0.25, "users": 3}) == named
    assert named.model_dump() == {"ndcg@10": 0.25, "users": 3}


def test_values_are_frozen(results):
    with pytest.raises(ValidationError):
        results.cost.rounds = 3


def test_a_difference_comes_from_the_bootstrap():
    found = paired_bootstrap([0.5, 0.25], [0.25, 0.25], resamples=20, seed=1)
    assert PairedDifference.of(found).model_dump() == {
        "difference": 0.125,
        "low": found.low,
        "high": found.high,
        "relative": 0.5,
        "relative_low": found.relative_low,
        "relative_high": found.relative_high,
        "users": 2,
        "p_value": found.p_value,
    }


def test_an_absent_file_says_what_to_do(tmp_path):
    with pytest.raises(DataMissingError, match="no results at") as raised:
        Results.load(tmp_path / "results.json")
    assert "isthmus simulate" in raised.value.hint


def test_a_broken_file_lists_every_finding(results, tmp_path):
    read = json.loads(results.to_json())
    read["schema_version"] = 2
    read["cost"]["rounds"] = -1
    read["surprise"] = True
    path = tmp_path / "results.json"
    path.write_text(json.dumps(read))
    with pytest.raises(DataInvalidError) as raised:
        Results.load(path)
    assert {"schema_version:", "cost.rounds:", "surprise:"} <= set(str(raised.value).split())


def test_a_file_that_is_no_json_is_refused(tmp_path):
    path = tmp_path / "results.json"
    path.write_text('{"schema_version": 1,')
    with pytest.raises(DataInvalidError, match="Invalid JSON"):
        Results.load(path)


def models_below(annotation) -> set[type[BaseModel]]:
    """Every model that a type mentions, and that those mention."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        below = (models_below(field.annotation) for field in annotation.model_fields.values())
        return {annotation}.union(*below)
    return set().union(*map(models_below, typing.get_args(annotation)))


def documented() -> dict[str, list[str]]:
    """The fields in the first column of each section's table."""
    sections = re.split(r"^## ", SCHEMA.read_text(), flags=re.MULTILINE)[1:]
    rows = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
    return {section.split("\n", 1)[0]: rows.findall(section) for section in sections}


@pytest.mark.parametrize("model", sorted(models_below(Results), key=lambda found: found.__name__))
def test_every_field_is_documented_and_nothing_else(model):
    fields = [field.serialization_alias or name for name, field in model.model_fields.items()]
    assert documented()[model.__name__] == fields


def test_the_walk_reaches_the_leaves():
    assert {Newcomer, BucketMetrics, PairedDifference} < models_below(Results)


def test_every_model_is_explained():
    assert [row for row in documented()["Where to look first"] if row in MODELS] == list(MODELS)
