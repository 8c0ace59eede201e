"""Scenario files: the built-in ones, and every mistake in one's own told at once."""

import codecs
from pathlib import Path

import pytest

from isthmus.errors import ScenarioError
from isthmus_simulations.scenarios import builtin_scenarios, load_scenario

SHOP = """
[[platforms]]
name = "shop"
source = "files"
events = "data/events.csv"
items = "/elsewhere/items.parquet"
"""


def scenario(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n' + text)
    return path


def refusal(tmp_path, text):
    with pytest.raises(ScenarioError) as caught:
        load_scenario(scenario(tmp_path, text))
    message = str(caught.value)
    assert "mine.toml" in message
    return message


def test_the_builtin_scenarios():
    assert builtin_scenarios() == ["hostile", "journey", "markets", "office", "trio"]
    assert all(load_scenario(name).name == name for name in builtin_scenarios())
    assert all(load_scenario(name).description for name in builtin_scenarios())


def test_journey_has_the_five_platforms_of_the_embedded_data():
    journey = load_scenario("journey")
    names = [platform.name for platform in journey.platforms]
    assert names == ["grocery", "fresh", "drugstore", "deli", "nutrition"]
    assert journey.split.kind == "time"


def test_a_scenario_says_whether_its_shops_are_the_embedded_ones():
    """The public ranker learned from those."""
    embedded = {name for name in builtin_scenarios() if load_scenario(name).embedded}
    assert embedded == {"journey", "hostile"}


def test_office_has_two_small_platforms_and_the_trio():
    names = [platform.name for platform in load_scenario("office").platforms]
    trio = [platform.name for platform in load_scenario("trio").platforms]
    assert names == ["office", "industrial", *trio]


def test_paths_are_relative_to_the_file(tmp_path):
    (platform,) = load_scenario(scenario(tmp_path, SHOP)).platforms
    assert platform.events == tmp_path / "data" / "events.csv"
    assert platform.items == Path("/elsewhere/items.parquet")


def test_defaults(tmp_path):
    mine = load_scenario(str(scenario(tmp_path, SHOP)))
    assert (mine.split.kind, mine.split.validation, mine.split.test) == ("time", 0.8, 0.9)
    assert mine.encoder.directory is None
    assert mine.platforms[0].min_user_events == 2


def test_dates_may_be_toml_dates_or_text(tmp_path):
    split = "[split]\nvalidation = 2024-03-01\ntest = 2024-05-01T12:00:00Z\n"
    mine = load_scenario(scenario(tmp_path, split + SHOP))
    assert mine.split.validation == "2024-03-01"
    assert mine.split.test == "2024-05-01T12:00:00+00:00"


def test_an_encoder_folder_is_relative_to_the_file(tmp_path):
    mine = load_scenario(scenario(tmp_path, '[encoder]\ndirectory = "bert"\n' + SHOP))
    assert mine.encoder.directory == tmp_path / "bert"


def test_all_mistakes_come_at_once_with_their_keys(tmp_path):
    message = refusal(
        tmp_path,
        """
        colour = "red"
        [split]
        kind = "random"
        validation = 1.5
        [[platforms]]
        name = "bad name!"
        source = "files"
        events = "events.csv"
        max_users = "many"
        min_user_events = 1
        behaviour = "doze"
        [[platforms]]
        name = "other"
        source = "magic"
        """,
    )
    for part in [
        "colour: Extra inputs are not permitted (given: 'red')",
        "split.kind: Input should be 'time' or 'leave-one-out' (given: 'random')",
        "split.validation: 1.5 is not between 0 and 1",
        "platforms[1].name:",
        "platforms[1].items: Field required",
        "platforms[1].max_users: Input should be a valid integer (given: 'many')",
        "platforms[1].min_user_events:",
        "platforms[1].behaviour: 'doze' is none of view, click",
        "platforms[2]:",
        "has 9 mistakes",
    ]:
        assert part in message


def test_columns_and_words_of_files_are_checked_by_the_contracts_model(tmp_path):
    message = refusal(
        tmp_path,
        SHOP
        + """
        event_columns = { colour = "shade" }
        item_columns = { titel = "name" }
        """,
    )
    assert "platforms[1]: event_columns: " in message
    assert "item_columns: " in message
    assert "colour" in message
    assert "titel" in message


def test_platform_names_are_unique(tmp_path):
    assert "given twice: shop" in refusal(tmp_path, SHOP + SHOP)


def test_quick_names_known_platforms(tmp_path):
    message = refusal(tmp_path, SHOP + '[quick]\nplatforms = ["shop", "stall"]\n')
    assert "[quick] names unknown platforms: stall" in message


def test_there_must_be_a_platform(tmp_path):
    assert "platforms: Field required" in refusal(tmp_path, "")


@pytest.mark.parametrize(
    ("split", "reason"),
    [
        ("validation = 0.9\ntest = 0.8", "validation 0.9 is not before test 0.8"),
        ('validation = 0.5\ntest = "2024-01-01"', "both be dates or both be shares"),
        ('validation = "soon"\ntest = "later"', "Invalid isoformat string: 'soon'"),
        ('kind = "leave-one-out"\ntest = 0.9', "remove them"),
        ('kind = "leave-one-out"\nend = "2024-01-01"', "remove them"),
        ('end = "some day"', "split.end: Invalid isoformat string: 'some day'"),
        ("end = 0.9", "split.end: Input should be a valid string"),
        (
            "validation = 2024-01-01\ntest = 2024-02-01\nend = 2024-02-01",
            "test 2024-02-01 is not before end 2024-02-01",
        ),
        ("validation = true", "split.validation"),
    ],
)
def test_mistaken_splits(tmp_path, split, reason):
    assert reason in refusal(tmp_path, f"[split]\n{split}\n{SHOP}")


@pytest.mark.parametrize("given", ["", 'countries = ["France"]\nall_but = ["Germany"]'])
def test_a_market_is_countries_or_all_but(tmp_path, given):
    market = f'[[platforms]]\nname = "market"\nsource = "online_retail"\n{given}\n'
    assert "give either countries or all_but" in refusal(tmp_path, market)


def test_a_file_that_is_not_toml(tmp_path):
    assert "is not TOML" in refusal(tmp_path, "[split\n")


@pytest.mark.parametrize(
    ("value", "what"),
    [("[" * 5000 + "]" * 5000, "nested too deeply"), ("9" * 5000, "a number of too many digits")],
)
def test_what_the_parser_gives_up_is_told(tmp_path, value, what):
    assert what in refusal(tmp_path, f"x = {value}\n")


def test_a_password_in_the_place_of_a_file_is_not_repeated(tmp_path):
    text = (
        '[[platforms]]\nname = "p"\nsource = "files"\n'
        'events = "s3://me:hunter2@bucket/e.csv"\nitems = "i.csv"\n'
    )
    found = refusal(tmp_path, text)
    assert "events: holds a password" in found
    assert "hunter2" not in found


def test_a_byte_order_mark_does_no_harm(tmp_path):
    path = scenario(tmp_path, SHOP)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert load_scenario(path).name == "mine"


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load_scenario(tmp_path / "mine.toml")


def test_a_name_that_is_neither_builtin_nor_a_file(tmp_path):
    with pytest.raises(ScenarioError, match="there is no scenario 'jorney'") as caught:
        load_scenario("jorney")
    assert "hostile, journey, markets, office, trio" in caught.value.hint
    with pytest.raises(ScenarioError, match="there is no scenario"):
        load_scenario(tmp_path)


def test_quick_keeps_the_named_platforms_and_the_tighter_limits(tmp_path):
    shops = "".join(
        SHOP.replace('"shop"', f'"{name}"') + f"max_users = {limit}\n"
        for name, limit in [("a", 0), ("b", 70), ("c", 7), ("d", 0)]
    )
    quick = '[quick]\nplatforms = ["d", "c", "b"]\nmax_users = 33\nmax_items = 44\n'
    small = load_scenario(scenario(tmp_path, shops + quick)).quickened()
    assert [(p.name, p.max_users, p.max_items) for p in small.platforms] == [
        ("b", 33, 44),
        ("c", 7, 44),
        ("d", 33, 44),
    ]


def test_quick_is_the_first_three_platforms_where_none_are_named(tmp_path):
    shops = "".join(SHOP.replace('"shop"', f'"{name}"') for name in "dcba")
    small = load_scenario(scenario(tmp_path, shops)).quickened()
    assert [platform.name for platform in small.platforms] == ["d", "c", "b"]
