"""Hostile members: what is destroyed, what stays, and that a copy is its original."""

import re

import numpy as np
import pytest

from isthmus.errors import ScenarioError
from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories
from isthmus_client.relations import PlatformTables
from isthmus_simulations.scenarios import load_scenario
from isthmus_simulations.scenarios.hostile import foreign_script, shuffle_items
from isthmus_simulations.scenarios.sources import read_source

SHOP = '[[platforms]]\nname = "{}"\nsource = "journey"\ndepartments = ["DELI"]\n'
COPY = '[[platforms]]\nname = "{}"\nsource = "copy"\ncopy_of = "{}"\n'


@pytest.fixture
def tables():
    """Forty users who each stay with one of five items: all behaviour is structure."""
    items = np.repeat(np.arange(40) % 5, 6).astype(np.int32)
    texts = ("red Pen", "blue pen, 0.5 mm", "red ink", "blue ink", "PEN & ink")
    return PlatformTables(
        Catalogue(tuple("abcde"), texts, ("",) * 5, np.full(5, np.nan, np.float32)),
        Histories(
            user_ids=tuple(f"u{row}" for row in range(40)),
            offsets=np.arange(41, dtype=np.int64) * 6,
            items=items,
            behaviours=np.full(items.size, 5, np.int8),
            times=np.arange(items.size, dtype=np.int64),
            timed=True,
        ),
    )


def items_per_user(tables):
    histories = tables.histories
    parts = np.split(histories.items, histories.offsets[1:-1])
    return np.mean([np.unique(part).size for part in parts])


def test_shuffling_keeps_popularity_and_histories_but_no_link_between_them(tables):
    dealt = shuffle_items(tables, name="shop", seed=7)
    before, after = tables.histories, dealt.histories
    np.testing.assert_array_equal(np.bincount(after.items), np.bincount(before.items))
    np.testing.assert_array_equal(after.offsets, before.offsets)
    np.testing.assert_array_equal(after.times, before.times)
    assert after.items.dtype == np.int32
    assert items_per_user(tables) == 1
    # Six draws among five equally frequent items show 5 * (1 - 0.8**6) = 3.7 of them.
    assert items_per_user(dealt) == pytest.approx(3.7, abs=0.4)


def test_the_deal_depends_on_name_and_seed_alone(tables):
    def dealt(name, seed):
        return shuffle_items(tables, name=name, seed=seed).histories.items.tolist()

    assert dealt("shop", 7) == dealt("shop", 7)
    assert len({tuple(dealt(*each)) for each in [("shop", 7), ("shop", 8), ("stall", 7)]}) == 3


def test_foreign_texts_keep_who_says_the_same_but_no_letter(tables):
    texts = foreign_script(tables).catalogue.texts
    assert not any(re.search(r"[A-Za-z0-9]", text) for text in texts)
    red, blue = texts[0].split()[0], texts[1].split()[0]
    assert texts[2].split()[0] == red
    assert texts[3].split()[0] == blue != red
    assert texts[4].split()[0] == texts[0].split()[1], "a word's case is no other word"
    assert all("一" <= letter <= "鿿" for letter in red + blue)
    assert texts == foreign_script(tables).catalogue.texts


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n' + text)
    return load_scenario(path)


def test_a_copy_has_no_data_of_its_own(tmp_path):
    _, copy = written(tmp_path, SHOP.format("a") + COPY.format("b", "a")).platforms
    with pytest.raises(ScenarioError, match="b is a copy"):
        read_source(copy, None)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (SHOP.format("a") + COPY.format("b", "c"), "b copies 'c'"),
        (SHOP.format("a") + COPY.format("b", "b"), "b copies 'b'"),
        (SHOP.format("a") + COPY.format("b", "a") + COPY.format("c", "b"), "c copies 'b'"),
        (SHOP.format("a") + COPY.format("b", "a") + "max_users = 5\n", "remove max_users"),
        (
            SHOP.format("a") + COPY.format("b", "a") + '[quick]\nplatforms = ["b"]\n',
            "keeps b but not a",
        ),
    ],
)
def test_a_copy_of_nothing_is_refused(tmp_path, text, named):
    with pytest.raises(ScenarioError, match=named):
        written(tmp_path, text)


def test_the_builtin_scenario_has_three_honest_members_and_one_of_each_kind():
    for platforms in (
        load_scenario("hostile").platforms,
        load_scenario("hostile").quickened().platforms,
    ):
        found = {p.name: (p.shuffle_items, p.foreign_script, p.source == "copy") for p in platforms}
        honest = dict.fromkeys(("deli", "fresh", "drugstore"), (False, False, False))
        assert found == honest | {
            "shuffled": (True, False, False),
            "foreign": (False, True, False),
            "twin": (False, False, True),
        }
