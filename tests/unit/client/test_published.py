"""The published number of users, and what a platform's heartbeats tell the operator."""

import json

import pytest

from isthmus.errors import StoreError
from isthmus_client.home import Home
from isthmus_client.link.facts import facts_of
from isthmus_client.worker.published import PUBLISHED, publish, published_users
from isthmus_client.worker.status import RUN, StatusFile


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path / "platform.toml")
    made.federation.mkdir()
    return made


@pytest.mark.parametrize(
    ("live", "users"), [(10, 10), (187, 180), (1_234, 1_200), (87_654, 87_000)]
)
def test_two_digits_of_the_live_count_are_published(home, live, users):
    assert publish(home, live) == published_users(home) == users
    assert facts_of(home)["users"] == users


def test_no_later_live_count_changes_what_is_published(home):
    publish(home, 1_299)
    assert publish(home, 1_300) == 1_200
    assert publish(home, 5) == 1_200


@pytest.mark.parametrize("live", [0, 9])
def test_of_a_handful_of_users_nothing_is_published(home, live):
    assert publish(home, live) is None
    assert not (home.federation / PUBLISHED).exists()
    assert "users" not in facts_of(home)
    assert publish(home, 25) == 20


def test_an_engineer_may_publish_another_number(home):
    publish(home, 187)
    (home.federation / PUBLISHED).write_text('{"users": 150}')
    assert publish(home, 187) == 150


@pytest.mark.parametrize(
    "text", ["", "[150]", '{"users": "150"}', '{"users": true}', '{"users":0}']
)
def test_a_damaged_number_is_not_guessed_at_and_not_told(home, text):
    (home.federation / PUBLISHED).write_text(text)
    with pytest.raises(StoreError, match=r"does not say how many users.*published\.json|published"):
        publish(home, 187)
    assert "users" not in facts_of(home)


def test_a_heartbeat_tells_an_errors_class_and_never_its_text(home):
    status = StatusFile(home.federation / RUN / "worker.json")
    status.tell("waiting", "events.csv: customer C1044 is odd", error="DataInvalidError")
    facts = facts_of(home)
    assert (facts["worker_state"], facts["worker_error"]) == ("waiting", "DataInvalidError")
    assert "C1044" not in json.dumps(facts)
    assert facts.keys() == {"version", "worker_state", "worker_error"}


def test_a_heartbeat_tells_what_is_worked_on(home):
    status = StatusFile(home.federation / RUN / "worker.json")
    status.tell("working", kind="train.mask", run="run-1", round="3")
    facts = facts_of(home)
    assert facts["worker_kind"] == "train.mask"
    assert (facts["worker_run"], facts["worker_round"]) == ("run-1", "3")
