"""Track records: their figures, their file, and every reason not to use one."""

from datetime import UTC, datetime

import numpy as np
import pytest

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_client.track_record import TrackRecord, past_of, require_usable

OWN = ("popularity", "local")
SEEN = datetime(2024, 5, 1, tzinfo=UTC)


def record(**changes):
    past = past_of(
        "candidate",
        {
            "candidate": np.array([0.5, 0.1, 0.3]),
            "popularity": np.array([0.1, 0.1, 0.1]),
            "local": np.array([0.4, 0.2, 0.0]),
        },
        OWN,
    )
    fields = {
        "created": SEEN,
        "platform": "shop",
        "release": "ab" * 32,
        "first": datetime(2024, 4, 1, tzinfo=UTC),
        "last": datetime(2024, 4, 30, tzinfo=UTC),
        "past": past,
    }
    return TrackRecord(**(fields | changes))


def use(path, **changes):
    found = TrackRecord.load(path)
    require_usable(found, path, **({"platform": "shop", "own": OWN, "before": SEEN} | changes))
    return found


def test_its_figures_are_means_gains_and_their_errors():
    past = record().past
    assert (past.users, past.ndcg) == (3, pytest.approx(0.3))
    local = past.own["local"]
    assert (local.ndcg, local.gain) == (pytest.approx(0.2), pytest.approx(0.1))
    gains = np.array([0.1, -0.1, 0.3])
    assert local.standard_error == pytest.approx(gains.std(ddof=1) / np.sqrt(3))
    assert past.share(0.15) == pytest.approx(0.5)


def test_where_nobody_ranks_anything_shares_stay_finite():
    nothing = np.zeros(3)
    past = past_of("candidate", {"candidate": nothing, "local": nothing}, ("local",))
    assert past.share(past.own["local"].gain) == 0


def test_one_user_leaves_no_record():
    one = np.array([0.5])
    assert past_of("candidate", {"candidate": one, "local": one}, ("local",)) is None


def test_it_comes_back_from_its_file(tmp_path):
    record().save(tmp_path / "shop.json")
    assert use(tmp_path / "shop.json") == record()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"platform": "other"}, "is of platform 'shop', not 'other'"),
        ({"own": (*OWN, "sasrec")}, "does not know the models sasrec"),
        ({"before": datetime(2024, 4, 30, tzinfo=UTC)}, "the gate would know the test"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(tmp_path, changes, said):
    record().save(tmp_path / "shop.json")
    with pytest.raises(DataInvalidError, match=said):
        use(tmp_path / "shop.json", **changes)


def test_a_missing_and_a_damaged_one_are_named(tmp_path):
    with pytest.raises(DataMissingError, match="no track record"):
        use(tmp_path / "shop.json")
    (tmp_path / "shop.json").write_text('{"platform": 7}')
    with pytest.raises(DataInvalidError, match=r"shop\.json is no track record"):
        use(tmp_path / "shop.json")
