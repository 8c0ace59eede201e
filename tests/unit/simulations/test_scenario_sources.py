"""The sources of the built-in scenarios, on real data; what is not there skips with a reason."""

import hashlib
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from isthmus.behaviours import behaviour_code
from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_simulations.scenarios import load_scenario
from isthmus_simulations.scenarios.data_folder import data_file, data_set
from isthmus_simulations.scenarios.limits import Limits, restrict
from isthmus_simulations.scenarios.scenario import JourneyPlatform, OnlineRetailPlatform
from isthmus_simulations.scenarios.sources import read_source
from isthmus_simulations.scenarios.sources.journey_text import item_text

DATA = Path(os.environ.get("ISTHMUS_DATA") or Path(__file__).parents[4] / "shared" / "data")
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the data folder {DATA} is not there (ISTHMUS_DATA names another)"
)


def plan_of(scenario, name):
    return next(p for p in load_scenario(scenario).platforms if p.name == name)


@cache
def platform(scenario, name):
    plan = plan_of(scenario, name)
    limits = Limits(plan.min_item_users, plan.max_items, plan.min_user_events, plan.max_users)
    return restrict(read_source(plan, DATA), limits, name=name, seed=0)


@pytest.mark.parametrize(
    ("name", "users", "items", "events"),
    [
        ("grocery", 2415, 14712, 897_908),
        ("fresh", 2270, 2709, 261_782),
        ("drugstore", 2123, 6020, 122_694),
        ("deli", 1777, 1270, 57_595),
        ("nutrition", 575, 662, 12_162),
    ],
)
def test_journey_platforms_have_their_known_sizes(name, users, items, events):
    tables = platform("journey", name)
    histories = tables.histories
    assert (histories.users, len(tables.catalogue), histories.events) == (users, items, events)


def test_journey_events_lie_in_the_year_2017_and_ascend():
    histories = platform("journey", "nutrition").histories
    assert histories.timed
    assert np.datetime64(int(histories.times.min()), "s") >= np.datetime64("2017-01-01")
    assert np.datetime64(int(histories.times.max()), "s") < np.datetime64("2018-01-02")
    inside = np.ones(histories.events - 1, dtype=bool)
    inside[histories.offsets[1:-1] - 1] = False
    assert (np.diff(histories.times)[inside] >= 0).all()


def test_a_basket_counts_a_product_once():
    histories = platform("journey", "nutrition").histories
    owners = np.repeat(np.arange(histories.users), np.diff(histories.offsets))
    events = np.stack([owners, histories.items, histories.times], axis=1)
    assert len(np.unique(events, axis=0)) == histories.events


def test_an_unknown_department():
    plan = JourneyPlatform(name="x", source="journey", departments=("GROCERY", "GROCERIES"))
    with pytest.raises(DataInvalidError, match="no department GROCERIES") as caught:
        read_source(plan, None)
    assert "DRUG GM" in caught.value.hint


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ("PIZZA/PREMIUM", "FROZEN PIZZA", "National", "12.5 OZ"),
            "pizza premium, frozen pizza, national brand, 12.5 ounce",
        ),
        (
            ("SFT DRNK 2 LITER BTL CARB INCL", "SOFT DRINKS", "National", "2 L"),
            "soft drink 2 liter bottle carbonated, soft drinks, national brand, 2 liter",
        ),
        (("TUNA", "TUNA", "Private", ""), "tuna, private brand"),
        (("", "PNT BTR/JELLY/JAMS", "Private", "12 PK/12 OZ"), None),
        (("", "", "", ""), "unnamed item"),
    ],
)
def test_item_texts_are_readable(words, text):
    expected = text or "peanut butter jelly jams, private brand, 12 pack 12 ounce"
    assert item_text(*words) == expected


def test_makers_tell_items_apart():
    plain = plan_of("journey", "nutrition")
    without, named = (
        read_source(plain.model_copy(update={"makers": makers}), None).catalogue
        for makers in (False, True)
    )
    assert named.item_ids == without.item_ids
    pairs = zip(without.texts, named.texts, strict=True)
    assert all(other.startswith(f"{text}, maker ") for text, other in pairs)
    assert len(set(named.texts)) > len(set(without.texts))


DIGESTS = {
    "grocery": "f1d3df59e530f7be",
    "fresh": "07e2cc5a61698791",
    "drugstore": "59f77fe8e1c659fb",
    "deli": "22394f85a86933a4",
    "nutrition": "a276ac325a415fc7",
}
"""Of the embedded data as its first reader, which knew no feeds and no rules, made it."""


@pytest.mark.parametrize("name", DIGESTS)
def test_journey_is_value_by_value_what_it_was(name):
    tables = read_source(plan_of("journey", name), None)
    catalogue, histories = tables.catalogue, tables.histories
    columns = [catalogue.item_ids, catalogue.texts, catalogue.categories, catalogue.prices]
    columns += [histories.user_ids, histories.offsets, histories.items]
    columns += [histories.behaviours, histories.times]
    together = "".join(digest(column) for column in columns)
    assert hashlib.sha256(together.encode()).hexdigest()[:16] == DIGESTS[name]


def digest(column):
    """SHA-256 of texts, or of an array with its type."""
    if isinstance(column, tuple):
        return hashlib.sha256("\0".join(column).encode()).hexdigest()
    return hashlib.sha256(str(column.dtype).encode() + column.tobytes()).hexdigest()


@needs_data
@pytest.mark.parametrize(
    ("name", "users", "items", "events"),
    [
        ("beauty", 22_363, 12_101, 198_502),
        ("sports", 35_598, 18_357, 296_337),
        ("toys", 19_412, 11_924, 167_597),
    ],
)
def test_the_trio_is_the_whole_published_set(name, users, items, events):
    tables = platform("trio", name)
    histories = tables.histories
    assert (histories.users, len(tables.catalogue), histories.events) == (users, items, events)
    assert not histories.timed
    assert all(tables.catalogue.texts)


@needs_data
def test_a_sequence_keeps_its_order():
    tables = platform("trio", "beauty")
    user = tables.histories.user_ids.index("az19935")
    start, stop = tables.histories.offsets[user : user + 2]
    ids = [tables.catalogue.item_ids[row] for row in tables.histories.items[start:stop]]
    assert ids == ["B004756YJA", "B004ZT0SSG", "B0020YLEYK", "7806397051", "B002WLWX82"]


@needs_data
@pytest.mark.parametrize(("name", "users"), [("office", 3231), ("industrial", 3285)])
def test_ratings_are_timed(name, users):
    histories = platform("office", name).histories
    assert histories.timed
    assert abs(histories.users - users) < 100
    assert set(histories.behaviours.tolist()) == {behaviour_code("rate")}


@needs_data
def test_markets_part_the_shop():
    markets = {
        plan.name: platform("markets", plan.name) for plan in load_scenario("markets").platforms
    }
    sizes = {name: tables.histories.users for name, tables in markets.items()}
    assert sizes == {"united_kingdom": 3719, "germany": 92, "france": 84, "eire": 3, "rest": 221}
    kinds = {behaviour_code("purchase"), behaviour_code("return")}
    for tables in markets.values():
        assert set(tables.histories.behaviours.tolist()) == kinds
        assert len(tables.catalogue) < 3676
        assert np.isfinite(tables.catalogue.prices).all()


@needs_data
def test_an_unknown_country():
    plan = OnlineRetailPlatform(name="x", source="online_retail", countries=("Gondor",))
    with pytest.raises(DataInvalidError, match="no country Gondor") as caught:
        read_source(plan, DATA)
    assert "EIRE" in caught.value.hint


def test_a_data_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataMissingError, match="nowhere is not there") as caught:
        read_source(plan_of("trio", "beauty"), tmp_path / "nowhere")
    assert "--data" in caught.value.hint
    assert "ISTHMUS_DATA" in caught.value.hint


def test_a_data_folder_without_the_set(tmp_path):
    for plan in (plan_of("markets", "rest"), plan_of("office", "office")):
        with pytest.raises(DataMissingError, match=f"{tmp_path} has no "):
            read_source(plan, tmp_path)


def test_a_set_without_a_file(tmp_path):
    (tmp_path / "amazon_office").mkdir()
    with pytest.raises(DataMissingError, match=r"items\.parquet is not there"):
        read_source(plan_of("office", "office"), tmp_path)


def test_where_data_is_looked_for(tmp_path, monkeypatch):
    for place in ("given", "named", "shared/data"):
        (tmp_path / place / "set").mkdir(parents=True)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.delenv("ISTHMUS_DATA", raising=False)
    assert data_set(None, "set").resolve() == tmp_path / "shared/data/set"
    monkeypatch.setenv("ISTHMUS_DATA", str(tmp_path / "named"))
    assert data_set(None, "set") == tmp_path / "named/set"
    assert data_set(tmp_path / "given", "set") == tmp_path / "given/set"
    (tmp_path / "given/set/file").touch()
    assert data_file(tmp_path / "given/set", "file").is_file()
