"""The newcomer's first day: sizes, fairness of the comparison, and the day without users."""

from dataclasses import replace

import numpy as np
import pytest
from planted_histories import random_platform

from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.messages import RoundPlan
from isthmus.progress import Silent
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client.ranker_model import RankerModel
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.workspace import Workspace
from isthmus_simulations.newcomer import report_newcomer
from isthmus_simulations.plan import TrainingPlan

PLAN = TrainingPlan(
    seed=3,
    rounds=2,
    encoder=EncoderConfig(content=6, dim=4, layers=1, heads=2, max_events=7),
    round=RoundPlan("", 0, 0, batch_size=32, negatives=9),
    ranker=RankerSettings(hard=9, uniform=6),
)


@pytest.fixture
def report():
    workspace = Workspace(random_platform(users=160, items=30, events=9), PLAN.encoder.max_events)
    release = RankerModel(initial_encoder(PLAN.encoder, 8), initial_ranker(RankerConfig(), 8))
    return report_newcomer(workspace, release, PLAN, Silent())


def test_sizes_beyond_the_platforms_own_are_left_out(report):
    assert [size.users for size in report.sizes] == [0, 100]


def test_with_the_catalogue_alone_there_is_only_what_needs_no_user(report):
    assert report.sizes[0].models.keys() == {"prior", "release"}
    assert report.sizes[0].differences.keys() == {"release - prior"}


def test_every_size_and_model_faces_the_same_users(report):
    counts = {model.users for size in report.sizes for model in size.models.values()}

    assert counts == {report.test_users}
    assert {"local", "personalised", "popularity", "item_knn"} <= report.sizes[1].models.keys()
    assert "personalised - local" in report.sizes[1].differences


def test_a_newcomer_trains_and_tunes_on_its_first_users_only():
    platform = random_platform(users=160, items=30, events=9)
    few = replace(Workspace(platform, 7), training_users=PICKED)

    assert set(few.sequences.training_users) <= set(PICKED)
    assert set(few.counts.nonzero()[0]) <= set(PICKED)


PICKED = np.array([2, 3, 5, 7, 11])
