"""A platform's own tables: options from a file and the command line, the cut, the draw."""

from datetime import datetime

import numpy as np
import pytest
from tiny_encoder import HashEncoder

from isthmus.errors import DataInvalidError, DataMissingError, ScenarioError
from isthmus.progress import Silent
from isthmus_client.own_platform import platform_file, prepare_platform

ITEMS = "item_id,title\n" + "".join(f"i{row},thing {row}\n" for row in range(7))


@pytest.fixture
def folder(tmp_path):
    rows = "".join(
        f"u{user},i{(user + day) % 7},2024-01-{day + 1:02}\n"
        for user in range(11)
        for day in range(20)
    )
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\n" + rows)
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "platform.toml").write_text(
        'name = "shop"\nevents = "events.csv"\nitems = "items.csv"\n'
    )
    return tmp_path


def prepared(file, folder, **changes):
    return prepare_platform(file, HashEncoder(), folder / "cache", Silent(), **changes)


def test_paths_in_a_file_are_seen_from_it(folder, monkeypatch):
    monkeypatch.chdir("/")
    own = prepared(platform_file(folder / "platform.toml"), folder)
    assert own.platform.name == "shop"
    assert own.platform.histories.events == 11 * 20


def test_the_command_line_goes_on_top(folder):
    file = platform_file(folder / "platform.toml", events=folder / "other.csv", timed=False)
    assert file.events == folder / "other.csv"
    assert file.items == folder / "items.csv"
    assert not file.timed


def test_the_cut_is_at_shares_of_the_events(folder):
    own = prepared(platform_file(folder / "platform.toml"), folder)
    split, times = own.platform.split, own.platform.histories.times
    starts = [datetime.fromisoformat(t).timestamp() for t in (own.validation_start, own.test_start)]
    for user in range(11):
        low, high = own.platform.histories.offsets[user : user + 2]
        assert (times[low : split.train_stop[user]] < starts[0]).all()
        assert (times[split.validation_stop[user] : high] >= starts[1]).all()
    assert np.mean(times < starts[0]) == pytest.approx(0.8)
    assert np.mean(times < starts[1]) == pytest.approx(0.9)


def test_without_times_the_last_event_is_the_test(folder):
    own = prepared(platform_file(folder / "platform.toml", timed=False), folder)
    assert own.platform.split.kind == "leave-one-out"
    assert own.test_start is None


def test_a_draw_keeps_whole_histories_and_says_so(folder):
    file = platform_file(folder / "platform.toml")
    whole, part = prepared(file, folder), prepared(file, folder, max_users=4, seed=5)
    mine = part.platform.histories
    assert mine.users == 4
    assert part.warnings == ("4 of 11 users were drawn at random; --max-users 0 takes all",)
    every = whole.platform.histories
    for row, name in enumerate(mine.user_ids):
        other = every.user_ids.index(name)
        kept = mine.items[mine.offsets[row] : mine.offsets[row + 1]]
        assert np.array_equal(kept, every.items[every.offsets[other] : every.offsets[other + 1]])


def test_no_draw_where_all_fit(folder):
    own = prepared(platform_file(folder / "platform.toml"), folder, max_users=11)
    assert own.platform.histories.users == 11
    assert own.warnings == ()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('events = "e"\nitems = "i"\nuser = 3\n', "user: Extra inputs"),
        ('events = "e"\nitems = "i"\nvalidation = 1.5\n', "validation: Input should be less"),
        ('events = "e"\nitems = "i"\nvalidation = 0.95\n', r"0.95 is not before test 0.9"),
        ('events = "e\n', "is not TOML"),
        ('items = "i"\n', "--events not given"),
    ],
)
def test_a_wrong_file_is_a_message(tmp_path, text, match):
    (tmp_path / "platform.toml").write_text(text)
    with pytest.raises(ScenarioError, match=match):
        platform_file(tmp_path / "platform.toml")


def test_an_absent_file_and_absent_tables_are_named(folder):
    with pytest.raises(ScenarioError, match="cannot be read"):
        platform_file(folder / "none.toml")
    file = platform_file(None, events=folder / "none.csv", items=folder / "items.csv")
    with pytest.raises(DataMissingError, match=r"none\.csv") as caught:
        prepared(file, folder)
    assert "--events" in caught.value.hint


def test_a_table_of_one_moment_leaves_no_test(folder):
    rows = "".join(f"u{u},i{i},2024-01-01\n" for u in range(3) for i in range(4))
    (folder / "events.csv").write_text("user_id,item_id,timestamp\n" + rows)
    with pytest.raises(DataInvalidError, match="no room for a test") as caught:
        prepared(platform_file(folder / "platform.toml"), folder)
    assert "--untimed" in caught.value.hint
