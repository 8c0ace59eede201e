"""Records of an earlier run: fit for use, or the run does not begin."""

from datetime import UTC, datetime

import pytest

from isthmus.errors import DataInvalidError, DataMissingError, ScenarioError
from isthmus_client.track_record import FOLDER, Outdone, Past, TrackRecord
from isthmus_simulations.run_folder import MARK, RESULTS
from isthmus_simulations.track_records import records_for, without_memory

OWN = ("popularity", "local")
TEST = "2024-05-01T00:00:00+00:00"


@pytest.fixture
def run(tmp_path):
    """The folder of an earlier run with records of two shops."""
    for name in ("east", "west"):
        own = {model: Outdone(ndcg=0.1, gain=0.02, standard_error=0.01) for model in OWN}
        TrackRecord(
            created=datetime(2024, 6, 1, tzinfo=UTC),
            platform=name,
            release="ab" * 32,
            first=datetime(2024, 4, 1, tzinfo=UTC),
            last=datetime(2024, 4, 30, tzinfo=UTC),
            past=Past(users=50, ndcg=0.12, own=own),
        ).save(tmp_path / FOLDER / f"{name}.json")
    return tmp_path


def test_every_member_has_its_own(run):
    found = records_for(run, ["east", "west"], OWN, TEST)
    assert {name: record.platform for name, record in found.items()} == {
        "east": "east",
        "west": "west",
    }


def test_who_was_not_there_is_told_and_goes_without(run):
    found = records_for(run, ["east", "north"], OWN, TEST)
    assert list(found) == ["east"]
    (line,) = without_memory(["east", "north"], found)
    assert line.startswith("north: the earlier run left no record")


def test_a_run_that_is_not_finished_may_still_leave_records(run):
    (run / MARK).touch()
    with pytest.raises(DataMissingError, match="is not finished"):
        records_for(run, ["east", "west"], OWN, TEST)
    (run / RESULTS).touch()
    assert len(records_for(run, ["east", "west"], OWN, TEST)) == 2


def test_none_were_asked_for():
    assert records_for(None, ["east"], OWN, None) == {}


@pytest.mark.parametrize(
    ("platforms", "own", "test_start", "error", "said"),
    [
        (["east"], OWN, None, ScenarioError, "split without times"),
        (["north"], OWN, TEST, DataMissingError, "no track records of north"),
        (["east"], (*OWN, "item_knn"), TEST, DataInvalidError, "does not know the models item_knn"),
        (["east"], OWN, "2024-04-15T00:00:00+00:00", DataInvalidError, "would know the test"),
    ],
)
def test_what_cannot_be_used_is_named(run, platforms, own, test_start, error, said):
    with pytest.raises(error, match=said):
        records_for(run, platforms, own, test_start)


def test_a_folder_without_records_is_said_to_be_one(tmp_path):
    with pytest.raises(DataMissingError, match="holds no track records of east"):
        records_for(tmp_path, ["east"], OWN, TEST)
