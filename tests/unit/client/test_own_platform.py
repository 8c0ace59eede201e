"""A platform's own tables: contract and command line, the cut, the draw."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from planted_histories import random_platform
from tiny_encoder import HashEncoder

from isthmus.errors import (
    ContractError,
    DataInvalidError,
    DataMissingError,
    FeedRefusedError,
    ScenarioError,
)
from isthmus.progress import Silent
from isthmus_client.own_platform import OwnPlatform, own_contract, prepare_platform

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
        '[platform]\nname = "shop"\n'
        '[events]\nsource = "events.csv"\n[items]\nsource = "items.csv"\n'
    )
    return tmp_path


def contract(folder, **given):
    given = {"events": None, "items": None, **given}
    return own_contract(folder / "platform.toml", **given)


def prepared(agreed, folder, **changes):
    return prepare_platform(agreed, HashEncoder(), folder / "cache", Silent(), **changes)


def test_paths_in_a_file_are_seen_from_it(folder, monkeypatch):
    monkeypatch.chdir("/")
    own = prepared(contract(folder), folder)
    assert own.platform.name == "shop"
    assert own.platform.histories.events == 11 * 20


def test_the_command_line_goes_on_top(folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("other").mkdir()
    (folder / "events.csv").rename("other/moved.csv")
    own = contract(folder, events=Path("other/moved.csv"), untimed=True)
    assert own.items.source == "items.csv"
    assert not own.events.timed
    assert prepared(own, folder).platform.histories.events == 11 * 20


def test_two_tables_need_no_contract_and_keep_rows_that_repeat(folder, monkeypatch):
    (folder / "platform.toml").unlink()
    text = (folder / "events.csv").read_text()
    (folder / "events.csv").write_text(text + text.partition("\n")[2])
    monkeypatch.chdir(folder)
    own = prepared(own_contract(None, events=Path("events.csv"), items=Path("items.csv")), folder)
    assert own.platform.name == "own"
    assert own.platform.histories.events == 2 * 11 * 20


def test_the_contract_in_the_current_folder_is_found(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert own_contract(None, events=None, items=None).platform.name == "shop"


def test_the_cut_is_at_shares_of_the_events(folder):
    own = prepared(contract(folder), folder)
    split, times = own.platform.split, own.platform.histories.times
    starts = [datetime.fromisoformat(t).timestamp() for t in (own.validation_start, own.test_start)]
    for user in range(11):
        low, high = own.platform.histories.offsets[user : user + 2]
        assert (times[low : split.train_stop[user]] < starts[0]).all()
        assert (times[split.validation_stop[user] : high] >= starts[1]).all()
    assert np.mean(times < starts[0]) == pytest.approx(0.8)
    assert np.mean(times < starts[1]) == pytest.approx(0.9)


def test_without_times_the_last_event_is_the_test(folder):
    own = prepared(contract(folder, untimed=True), folder)
    assert own.platform.split.kind == "leave-one-out"
    assert own.test_start is None


def test_a_draw_keeps_whole_histories_and_says_so(folder):
    agreed = contract(folder)
    whole, part = prepared(agreed, folder), prepared(agreed, folder, max_users=4, seed=5)
    mine = part.platform.histories
    assert mine.users == 4
    assert part.warnings == ("4 of 11 users were drawn at random; --max-users 0 takes all",)
    every = whole.platform.histories
    for row, name in enumerate(mine.user_ids):
        other = every.user_ids.index(name)
        kept = mine.items[mine.offsets[row] : mine.offsets[row + 1]]
        assert np.array_equal(kept, every.items[every.offsets[other] : every.offsets[other + 1]])


def test_no_draw_where_all_fit(folder):
    own = prepared(contract(folder), folder, max_users=11)
    assert own.platform.histories.users == 11
    assert own.warnings == ()


def test_a_wrong_contract_is_told_with_its_lines(folder):
    (folder / "platform.toml").write_text(
        '[events]\nsource = "e"\nuser = 3\n[items]\nsource = "i"\n'
    )
    with pytest.raises(ContractError, match="line 3"):
        contract(folder)


def test_what_is_absent_is_named(folder):
    with pytest.raises(ScenarioError, match="--items not given"):
        own_contract(None, events=folder / "events.csv", items=None)
    with pytest.raises(ScenarioError, match="--events: "):
        own_contract(None, events=folder / "shop.duckdb", items=folder / "items.csv")
    with pytest.raises(DataMissingError, match=r"none\.toml"):
        own_contract(folder / "none.toml", events=None, items=None)
    with pytest.raises(DataMissingError, match=r"none\.csv"):
        prepared(contract(folder, events=folder / "none.csv"), folder)


def test_bad_tables_are_refused(folder):
    (folder / "items.csv").write_text("item_id,title\nx,thing\n")
    with pytest.raises(FeedRefusedError, match="220 events are on an item"):
        prepared(contract(folder), folder)


def test_a_table_of_one_moment_leaves_no_test(folder):
    rows = "".join(f"u{u},i{i},2024-01-01\n" for u in range(3) for i in range(4))
    (folder / "events.csv").write_text("user_id,item_id,timestamp\n" + rows)
    with pytest.raises(DataInvalidError, match="no room for a test") as caught:
        prepared(contract(folder), folder)
    assert "--untimed" in caught.value.hint


def test_a_contract_may_ask_for_shorter_histories_but_not_for_longer_ones():
    platform = random_platform(users=9, items=5, events=4, seed=1)
    reads = {most: OwnPlatform(platform, None, None, (), most).read_by(50) for most in (0, 7, 90)}
    assert reads == {0: 50, 7: 7, 90: 50}
