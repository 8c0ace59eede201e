"""The parts of the readiness check: masking, days, distributions, and the report's own rules."""

import io
import json
import math
import re
import traceback
from datetime import timedelta

import numpy as np
import pytest
from broken_feeds import FAULTS
from healthy_shop import NOW, START, Shop, as_csv, stamp
from hypothesis import given
from hypothesis import strategies as st
from markdown_pages import ROOT
from page_checks import Balanced
from pydantic import ValidationError
from rich.console import Console

from isthmus.errors import DataInvalidError
from isthmus.progress import Silent
from isthmus_client.feeds import ArrowFeed
from isthmus_client.readiness import CODES, check, check_feeds, database, render
from isthmus_client.readiness.days import drops, gaps
from isthmus_client.readiness.distributions import distribution
from isthmus_client.readiness.masking import ADDRESS, HIDDEN, Masker
from isthmus_client.readiness.page import render_page
from isthmus_client.readiness.results import FeedFacts, Readiness
from isthmus_client.readiness.terminal import sparkline

BY_NAME = {fault.name: fault for fault in FAULTS}


def report_of(name, folder):
    shop = Shop()
    BY_NAME[name].break_it(shop)
    return check(shop.write(folder), Silent(), now=NOW)


# Masking.


def nobody(_value):
    return False


def test_a_user_is_masked_alike_within_a_report_and_not_between_reports():
    one, other = Masker(), Masker()
    people = [f"person-{number}" for number in range(40)]
    assert [one.mask(each) for each in people] == [one.mask(each) for each in people]
    assert [one.mask(each) for each in people] != [other.mask(each) for each in people]
    assert all(each not in one.mask(each) for each in people)


def test_values_hide_the_rows_user_every_other_user_and_addresses():
    shown = Masker().values(
        {
            "user_id": "u17",
            "order_id": "2024-u17-3",
            "item_id": "u99",
            "title": "write to a@b.example",
            "price": "3.50",
            "category": " ",
            "brand": None,
        },
        lambda value: value == "u99",
    )
    assert shown["user_id"].startswith("u…")
    assert shown["order_id"] == shown["item_id"] == HIDDEN
    assert shown["title"] == ADDRESS
    assert shown["price"] == "3.50"
    assert shown["category"] == shown["brand"] == "(empty)"


def test_long_values_are_cut():
    shown = Masker().values({"title": "x" * 500}, nobody)["title"]
    assert len(shown) == 60
    assert shown.endswith("…")


# The database.


def test_the_database_has_no_place_to_spill_to():
    with database.open_database() as connection:
        assert database.row(connection, "SELECT current_setting('temp_directory')") == ("",)


def fail(statement, before=""):
    with database.open_database() as connection:
        connection.execute(before or "SELECT 1").fetchall()
        connection.execute(statement).fetchall()


def test_too_little_memory_is_told():
    rows = "CREATE TEMP TABLE t AS SELECT range AS n, range::VARCHAR AS s FROM range(3000000)"
    with pytest.raises(DataInvalidError, match="more memory than there is"):
        fail(rows, before="SET memory_limit = '20MB'")


def test_what_duckdb_complains_of_is_not_repeated():
    with pytest.raises(DataInvalidError, match="ConversionException") as caught:
        fail("SELECT 'person-17'::INTEGER")
    shown = "".join(traceback.format_exception(caught.value))
    assert "person-17" not in shown.replace("fail(\"SELECT 'person-17'::INTEGER\")", "")


# Days.


def test_one_empty_day_in_a_busy_time_is_a_gap():
    counts = np.full(30, 50)
    counts[12] = 0
    assert gaps(counts) == [12]
    assert drops(counts) == []


def test_a_shop_that_closes_on_one_weekday_has_no_gaps():
    counts = np.full(70, 50)
    counts[6::7] = 0
    assert gaps(counts) == []
    counts[10] = 0
    assert gaps(counts) == [10]


def test_few_events_make_no_gap():
    counts = np.full(30, 5)
    counts[12] = 0
    assert gaps(counts) == []


def test_a_week_with_a_tenth_of_the_events_is_one_drop():
    counts = np.concatenate([np.full(20, 60), np.full(20, 6)])
    assert drops(counts) == [20]


def test_growth_is_no_drop():
    assert drops(np.arange(20, 200)) == []


@given(st.lists(st.integers(0, 300), max_size=80))
def test_days_are_places_of_the_counts(values):
    counts = np.array(values, np.int64)
    assert all(counts[day] == 0 for day in gaps(counts))
    assert all(0 <= day < counts.size for day in drops(counts))


# Distributions.


@given(st.lists(st.integers(0, 10**6) | st.floats(0, 1e9), min_size=1, max_size=60))
def test_a_distribution_counts_every_value_once_and_has_numpys_quantiles(values):
    distinct, counts = np.unique(np.array(values, np.float64), return_counts=True)
    found = distribution(distinct, counts.astype(np.int64))
    assert sum(found.bins) == found.count == len(values)
    assert len(found.edges) == len(found.bins) + 1
    assert list(found.edges) == sorted(set(found.edges))
    assert found.quantiles["min"] == min(values)
    assert found.quantiles["max"] == max(values)
    slow = sorted(values)[max(math.ceil(0.5 * len(values)), 1) - 1]
    assert found.quantiles["median"] == slow


def test_nothing_has_no_quantiles():
    assert distribution(np.array([]), np.array([], np.int64)).quantiles == {}


# The report.


def test_counts_that_do_not_add_up_are_no_report():
    with pytest.raises(ValidationError, match="not the rows read"):
        FeedFacts(name="f", read=3, accepted=1, rejected={"bad_time": 1})


def test_the_report_reads_back_what_it_wrote(tmp_path):
    report = report_of("test_accounts", tmp_path)
    report.save(tmp_path / "r" / "readiness.json")
    again = Readiness.model_validate_json((tmp_path / "r" / "readiness.json").read_text())
    assert again == report
    assert json.loads(report.to_json())["verdict"] == "usable with warnings"


def test_figures_are_those_of_the_rows(tmp_path):
    shop = Shop()
    found = check(shop.write(tmp_path), Silent(), now=NOW).statistics
    users = [row["user_id"] for row in shop.events]
    assert found.users == len(set(users))
    assert found.items == len(shop.items)
    assert found.events == len(users) == sum(day.total for day in found.by_day)
    assert found.events == sum(month.total for month in found.by_month)
    words = [row["behaviour"] for row in shop.events]
    assert found.behaviours == {word: words.count(word) for word in ("view", "cart", "purchase")}
    assert found.first == shop.events[0]["timestamp"]
    assert found.last == shop.events[-1]["timestamp"]
    lengths = sorted(users.count(user) for user in set(users))
    assert found.lengths.quantiles["max"] == lengths[-1]
    ids = [row["item_id"] for row in shop.events]
    assert found.top_share == pytest.approx(max(map(ids.count, set(ids))) / len(ids))


def test_days_are_those_of_the_platforms_zone(tmp_path):
    shop = Shop()
    shop.say("platform", time_zone="Asia/Shanghai")
    shop.events = shop.events[:40]
    shop.set_events("timestamp", stamp(START + timedelta(hours=20)), *range(40))
    for place, row in enumerate(shop.events):
        row["quantity"] = str(place + 1)
    found = check(shop.write(tmp_path), Silent(), now=NOW).statistics
    assert [day.day for day in found.by_day] == ["2024-03-26"]


def test_events_without_times_have_no_days_and_no_findings_on_times(tmp_path):
    shop = Shop()
    shop.say("events", timed=False)
    for row in shop.events:
        del row["timestamp"]
    report = check(shop.write(tmp_path), Silent(), now=NOW)
    assert report.findings == ()
    assert report.statistics.by_day == ()
    assert report.statistics.first == ""
    assert "no times" in render_page(report)


def test_feeds_in_memory_are_checked_like_files(tmp_path):
    import pyarrow as pa  # noqa: PLC0415 - of this test alone

    shop = Shop()
    feeds = {
        "items": [ArrowFeed("items", pa.Table.from_pylist(shop.items))],
        "events": [ArrowFeed("events", pa.Table.from_pylist(shop.events))],
    }
    in_memory = check_feeds(shop.write(tmp_path), feeds, Silent(), now=NOW)
    assert in_memory.statistics == check(shop.write(tmp_path), Silent(), now=NOW).statistics


def test_the_header_of_a_file_without_one_is_shown_nowhere(tmp_path):
    report = report_of("the_header_is_missing", tmp_path)
    text = report.to_json() + render_page(report) + printed(report)
    assert "person-" not in text
    assert "sku-" not in text


def test_a_malformed_line_is_never_repeated(tmp_path):
    shop = Shop()
    shop.files["events.csv"] = as_csv(shop.events) + b"secret-17,secret-18,secret-19\n"
    report = check(shop.write(tmp_path), Silent(), now=NOW)
    assert [finding.code for finding in report.findings] == ["ragged"]
    assert "secret" not in report.to_json() + render_page(report) + printed(report)


# Terminal and page.


def printed(report):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render(report))
    return console.export_text()


@pytest.mark.parametrize(
    "name",
    ["a_column_is_missing", "test_accounts", "a_column_is_not_mapped", "a_bot", "no_texts"],
)
def test_terminal_and_page_tell_every_finding_with_what_to_do(name, tmp_path):
    report = report_of(name, tmp_path)
    page, terminal = render_page(report), " ".join(printed(report).split())
    Balanced(page)
    assert report.findings
    for finding in report.findings:
        assert finding.code in page
        assert f"[{finding.code}]" in terminal
        assert finding.advice.split("`")[0][:30] in terminal
    assert "http" not in page.replace("http-equiv", "")


def test_errors_come_first(tmp_path):
    shop = Shop()
    BY_NAME["a_column_is_not_mapped"].break_it(shop)
    BY_NAME["test_accounts"].break_it(shop)
    BY_NAME["too_many_bad_rows"].break_it(shop)
    report = check(shop.write(tmp_path), Silent(), now=NOW)
    told = [finding.severity for finding in report.findings]
    assert told == sorted(told, key=["error", "warning", "info"].index)
    assert set(told) == {"error", "warning", "info"}


def test_a_sparkline_sums_days_and_keeps_its_width():
    assert sparkline([1, 2, 4], 60) == "▂▄█"
    assert len(sparkline(list(range(1000)), 54)) <= 54
    assert sparkline([5, 5, 5, 5, 5], 2) == "██"
    assert sparkline([], 10) == ""


def test_every_code_says_what_it_means_and_what_to_do():
    for code, known in CODES.items():
        assert known.code == code
        assert known.meaning.endswith(".")
        assert known.advice.endswith(".")


def test_the_page_lists_every_code_as_it_is():
    page = (ROOT / "docs" / "readiness.md").read_text().partition("\n## Every finding\n")[2]
    headings = {"error": "Errors", "warning": "Warnings", "info": "Notes"}
    for severity, heading in headings.items():
        section = page.partition(f"\n### {heading}\n")[2].partition("\n###")[0]
        listed = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", section, re.MULTILINE)
        ours = [each for each in CODES.values() if each.severity == severity]
        assert listed == [(each.code, each.meaning, each.advice) for each in ours]
