"""From a scenario to platforms: cuts, vectors in their places, warnings, and the quick variant."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from tiny_encoder import save_tiny_encoder

from isthmus.errors import DataInvalidError, FeedRefusedError
from isthmus.progress import Silent
from isthmus_client.text_encoder import HuggingFaceEncoder
from isthmus_simulations.scenarios import load_scenario, prepare

DAY = datetime.fromisoformat("2024-01-01T00:00:00+00:00")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def write_platform(folder, name, users, days, *, titles=("red pen", "blue pen", "ink")):
    """Each user has one event a day; the item follows the day and the user."""
    items = "".join(f"{name}{row},{title}\n" for row, title in enumerate(titles))
    (folder / f"{name}-items.csv").write_text("item_id,title\n" + items)
    events = "".join(
        f"u{user},{name}{(day + user) % len(titles)},{(DAY + timedelta(days=day)).isoformat()}\n"
        for user in range(users)
        for day in range(days)
    )
    (folder / f"{name}-events.csv").write_text("user_id,item_id,timestamp\n" + events)


def write_scenario(folder, head="", options=None):
    platforms = "".join(
        f'[[platforms]]\nname = "{name}"\nsource = "files"\nevents = "{name}-events.csv"\n'
        f'items = "{name}-items.csv"\n{extra}\n'
        for name, extra in (options or {"shop": "", "stall": ""}).items()
    )
    (folder / "mine.toml").write_text(f'name = "mine"\n{head}\n{platforms}')
    return load_scenario(folder / "mine.toml")


def prepared(scenario, folder, encoder, *, quick=False, seed=7):
    return prepare(
        scenario,
        data=None,
        cache=folder / "cache",
        seed=seed,
        quick=quick,
        encoder=encoder,
        progress=Silent(),
    )


@pytest.fixture
def folder(tmp_path):
    write_platform(tmp_path, "shop", users=7, days=20)
    write_platform(tmp_path, "stall", users=3, days=40, titles=("green ink", "red pen"))
    return tmp_path


def test_one_wall_clock_cut_for_all_at_the_quantiles_of_all_events(folder, encoder):
    result = prepared(write_scenario(folder), folder, encoder)
    # 140 events of shop on days 0-19 and 120 of stall on days 0-39, sorted: 208 of the 260 lie
    # before day 22.67, that is on day 22; 234 lie before day 31.
    assert result.validation_start == "2024-01-23T00:00:00Z"
    assert result.test_start == "2024-02-01T00:00:00Z"
    shop, stall = result.platforms
    assert (shop.split.kind, stall.split.kind) == ("time", "time")
    assert (shop.split.train_stop == shop.histories.offsets[1:]).all()
    parts = stall.split.train_stop - stall.histories.offsets[:-1]
    assert parts.tolist() == [22] * 3
    assert (stall.split.validation_stop - stall.split.train_stop).tolist() == [9] * 3


def test_a_platform_may_be_given_by_its_contract(folder, encoder):
    (folder / "shop").mkdir()
    (folder / "shop" / "platform.toml").write_text(
        '[platform]\nname = "other"\n'
        '[events]\nsource = "../shop-events.csv"\n[items]\nsource = "../shop-items.csv"\n'
    )
    by_files = write_scenario(folder, options={"shop": ""})
    (folder / "mine.toml").write_text(
        'name = "mine"\n[[platforms]]\nname = "shop"\nsource = "contract"\n'
        'contract = "shop/platform.toml"\n'
    )
    by_contract = load_scenario(folder / "mine.toml")
    (one,), (other,) = (prepared(s, folder, encoder).platforms for s in (by_files, by_contract))
    assert other.name == "shop"
    assert other.catalogue.texts == one.catalogue.texts
    assert other.histories.user_ids == one.histories.user_ids
    for name in ("offsets", "items", "behaviours", "times"):
        assert np.array_equal(getattr(other.histories, name), getattr(one.histories, name))


def test_rows_that_break_a_rule_are_left_out_with_a_warning(folder, encoder):
    events = folder / "shop-events.csv"
    events.write_text(events.read_text() + "u1,elsewhere,2024-01-05\n" * 2)
    result = prepared(write_scenario(folder), folder, encoder)
    (told,) = result.warnings
    assert told.startswith("shop: shop-events.csv: left out: 2 events are on an item")
    events.write_text(events.read_text() + "u1,elsewhere,2024-01-05\n" * 20)
    with pytest.raises(FeedRefusedError, match=r"more than 5\.00% of 162 rows"):
        prepared(write_scenario(folder), folder, encoder)


def test_explicit_dates(folder, encoder):
    dates = "[split]\nvalidation = 2024-01-11\ntest = 2024-01-16T00:00:00+01:00\n"
    result = prepared(write_scenario(folder, dates), folder, encoder)
    assert result.validation_start == "2024-01-11T00:00:00Z"
    assert result.test_start == "2024-01-15T23:00:00Z"
    shop = result.platforms[0]
    assert (shop.split.train_stop - shop.histories.offsets[:-1]).tolist() == [10] * 7
    assert (shop.split.validation_stop - shop.split.train_stop).tolist() == [5] * 7


def test_dates_outside_the_data(folder, encoder):
    scenario = write_scenario(folder, "[split]\nvalidation = 2025-01-01\ntest = 2025-02-01\n")
    with pytest.raises(DataInvalidError, match="events run from 2024-01-01T00:00:00Z to 2024-02"):
        prepared(scenario, folder, encoder)


@pytest.mark.parametrize("dates", ["", "validation = 2024-01-08\ntest = 2024-01-10\n"])
def test_an_end_gives_what_was_there_on_that_day(folder, encoder, tmp_path_factory, dates):
    limits = {"shop": "min_item_users = 3", "stall": ""}
    scenario = write_scenario(folder, f"[split]\n{dates}end = 2024-01-13\n", limits)
    found = prepared(scenario, folder, encoder)
    then = tmp_path_factory.mktemp("then")
    write_platform(then, "shop", users=7, days=12)
    write_platform(then, "stall", users=3, days=12, titles=("green ink", "red pen"))
    expected = prepared(write_scenario(then, f"[split]\n{dates}", limits), then, encoder)
    assert (found.validation_start, found.test_start) == (
        expected.validation_start,
        expected.test_start,
    )
    for now, once in zip(found.platforms, expected.platforms, strict=True):
        assert now.catalogue.item_ids == once.catalogue.item_ids
        assert now.histories.user_ids == once.histories.user_ids
        for part in ("offsets", "items", "behaviours", "times"):
            assert np.array_equal(getattr(now.histories, part), getattr(once.histories, part))
        assert np.array_equal(now.split.train_stop, once.split.train_stop)
        assert np.array_equal(now.split.validation_stop, once.split.validation_stop)


def test_an_end_leaves_a_platform_without_times_whole(folder, encoder):
    options = {"shop": "", "stall": "timed = false"}
    scenario = write_scenario(folder, "[split]\nend = 2024-01-13\n", options)
    shop, stall = prepared(scenario, folder, encoder).platforms
    assert (shop.histories.events, stall.histories.events) == (7 * 12, 3 * 40)


def test_an_end_before_all_events_is_refused(folder, encoder):
    scenario = write_scenario(folder, "[split]\nend = 2023-12-31\n")
    with pytest.raises(DataInvalidError, match="platform shop: nobody has two events before"):
        prepared(scenario, folder, encoder)


def test_leave_one_out(folder, encoder):
    result = prepared(write_scenario(folder, '[split]\nkind = "leave-one-out"'), folder, encoder)
    assert (result.split_kind, result.validation_start, result.test_start) == (
        "leave-one-out",
        None,
        None,
    )
    shop = result.platforms[0]
    assert (shop.histories.offsets[1:] - shop.split.validation_stop).tolist() == [1] * 7


def test_a_platform_without_times_is_left_one_out_with_a_warning(folder, encoder):
    scenario = write_scenario(folder, options={"shop": "", "stall": "timed = false"})
    result = prepared(scenario, folder, encoder)
    assert [platform.split.kind for platform in result.platforms] == ["time", "leave-one-out"]
    assert result.warnings == ("stall has no times: it is split leave-one-out",)
    # The cut ignores stall's counters: 112 of shop's 140 events lie before day 16.
    assert result.validation_start == "2024-01-17T00:00:00Z"


def test_a_time_split_needs_times(folder, encoder):
    scenario = write_scenario(folder, options={"stall": "timed = false"})
    with pytest.raises(DataInvalidError, match="no platform has times") as caught:
        prepared(scenario, folder, encoder)
    assert "leave-one-out" in caught.value.hint


def test_vectors_are_the_encoders_own_in_catalogue_order(folder, encoder):
    result = prepared(write_scenario(folder), folder, encoder)
    model = HuggingFaceEncoder(encoder)
    for platform in result.platforms:
        expected = model.encode(platform.catalogue.texts, Silent())
        np.testing.assert_allclose(platform.vectors, expected, atol=1e-6)
    shop, stall = result.platforms
    same = shop.catalogue.texts.index("red pen"), stall.catalogue.texts.index("red pen")
    assert shop.vectors[same[0]].tobytes() == stall.vectors[same[1]].tobytes()
    assert result.encoder == "tiny"


def test_the_scenarios_encoder_serves_where_none_is_given(folder, encoder):
    scenario = write_scenario(folder, f'[encoder]\ndirectory = "{encoder}"')
    assert prepared(scenario, folder, None).encoder == "tiny"


def test_a_second_preparation_is_the_same_bytes(folder, encoder):
    scenario = write_scenario(folder)
    first, second = (prepared(scenario, folder, encoder) for _ in range(2))
    for one, other in zip(first.platforms, second.platforms, strict=True):
        assert one.vectors.tobytes() == other.vectors.tobytes()
        assert one.histories.items.tobytes() == other.histories.items.tobytes()


def test_single_event_users_are_warned_about_by_platform(folder, encoder):
    with (folder / "shop-events.csv").open("a") as events:
        events.write("once,shop0,2024-01-03\n")
    result = prepared(write_scenario(folder), folder, encoder)
    line = "shop: shop-events.csv: 1 of 8 users have a single event and were left out"
    assert result.warnings == (line,)


def test_quick_is_smaller(folder, encoder):
    quick = '[quick]\nplatforms = ["shop"]\nmax_users = 4\nmax_items = 2\n'
    scenario = write_scenario(folder, options={"shop": "", "stall": quick})
    (shop,) = prepared(scenario, folder, encoder, quick=True).platforms
    assert (shop.name, shop.histories.users, len(shop.catalogue)) == ("shop", 4, 2)


def test_limits_come_from_the_scenario(folder, encoder):
    options = {"shop": "max_users = 5\nmax_items = 2", "stall": "min_user_events = 30"}
    shop, stall = prepared(write_scenario(folder, options=options), folder, encoder).platforms
    assert (shop.histories.users, len(shop.catalogue), stall.histories.users) == (5, 2, 3)


def test_a_copy_is_its_original_under_another_name(folder, encoder):
    write_scenario(folder, options={"shop": "max_users = 4", "stall": ""})
    text = (folder / "mine.toml").read_text()
    copy = '[[platforms]]\nname = "twin"\nsource = "copy"\ncopy_of = "shop"\n'
    (folder / "mine.toml").write_text(text + copy)
    shop, _, twin = prepared(load_scenario(folder / "mine.toml"), folder, encoder).platforms
    assert (shop.name, twin.name) == ("shop", "twin")
    assert twin.catalogue is shop.catalogue
    assert twin.histories.user_ids == shop.histories.user_ids
    np.testing.assert_array_equal(twin.vectors, shop.vectors)
    np.testing.assert_array_equal(twin.split.train_stop, shop.split.train_stop)


def test_hostile_members_are_made_after_the_limits(folder, encoder):
    plain = prepared(write_scenario(folder), folder, encoder).platforms
    options = {"shop": "shuffle_items = true", "stall": "foreign_script = true"}
    shop, stall = prepared(write_scenario(folder, options=options), folder, encoder).platforms
    assert sorted(shop.histories.items) == sorted(plain[0].histories.items)
    assert shop.histories.items.tolist() != plain[0].histories.items.tolist()
    assert shop.catalogue.texts == plain[0].catalogue.texts
    assert stall.catalogue.item_ids == plain[1].catalogue.item_ids
    assert set(stall.catalogue.texts).isdisjoint(plain[1].catalogue.texts)
    np.testing.assert_array_equal(stall.histories.items, plain[1].histories.items)
