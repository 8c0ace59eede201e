"""`isthmus client check`: output, files and exit codes."""

import json

import pytest
from broken_feeds import FAULTS
from command_checks import refuse
from healthy_shop import Shop

from isthmus.cli import run
from isthmus_client.readiness.results import Readiness

BY_NAME = {fault.name: fault for fault in FAULTS}
CONTRACT = """
[events]
source = "events.csv"
{events}
[items]
source = "items.csv"
"""


@pytest.fixture
def platform(tmp_path):
    """Writes a platform's folder, with a fault if one is named."""

    def make(name=None, events=""):
        shop = Shop()
        if name:
            BY_NAME[name].break_it(shop)
        shop.write(tmp_path)
        (tmp_path / "platform.toml").write_text(CONTRACT.format(events=events))
        return tmp_path / "platform.toml"

    return make


def check(platform, *more):
    return run(["client", "check", "--platform", str(platform), *more])


def test_a_healthy_platform_is_ready(platform, tmp_path, capsys):
    assert check(platform()) == 0
    shown = capsys.readouterr().out
    assert "ready" in shown
    assert "No findings." in shown
    saved = Readiness.model_validate_json((tmp_path / "reports" / "readiness.json").read_text())
    assert saved.verdict == "ready"
    assert "<svg" in (tmp_path / "reports" / "readiness.html").read_text()


def test_warnings_end_with_15(platform, capsys):
    assert check(platform("a_price_of_zero")) == 15
    assert "[zero_price]" in capsys.readouterr().out


def test_a_refused_feed_ends_with_14_and_its_report_is_there_all_the_same(
    platform, tmp_path, capsys
):
    assert check(platform("a_column_is_missing")) == 14
    shown = capsys.readouterr()
    assert "[missing_column]" in shown.out
    assert "refused" in shown.err
    assert "Traceback" not in shown.err
    report = tmp_path / "reports" / "readiness.json"
    assert json.loads(report.read_text())["verdict"] == "refused"


def test_json_is_the_report_and_nothing_else(platform, tmp_path, capsys):
    assert check(platform("every_user_has_one_event"), "--json", "--out", str(tmp_path / "x")) == 14
    shown = capsys.readouterr()
    report = Readiness.model_validate_json(shown.out)
    assert [finding.code for finding in report.of("error")] == ["single_events"]
    assert shown.out == (tmp_path / "x" / "readiness.json").read_text()
    assert json.loads(shown.err)["error"] == "FeedRefusedError"


def test_the_servers_time_is_compared(platform, capsys):
    assert check(platform(), "--server-time", "2001-01-01T00:00:00Z") == 15
    assert "[clock_skew]" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["yesterday", "2024-03-31T18:05:00"])
def test_a_servers_time_without_a_zone_is_refused(platform, wrong, capsys):
    arguments = ["client", "check", "--platform", str(platform()), "--server-time", wrong]
    refuse(arguments, 10, "no time with a zone", capsys)


def test_a_wrong_contract_ends_with_13(platform, capsys):
    wrong = platform(events='colour = "red"')
    refuse(["client", "check", "--platform", str(wrong)], 13, "colour", capsys)


def test_a_folder_that_cannot_be_written_is_told(platform, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    arguments = ["client", "check", "--platform", str(platform()), "--out", str(tmp_path / "file")]
    refuse(arguments, 10, "cannot be written", capsys)


def test_a_contract_that_is_not_there_is_told(tmp_path, capsys):
    missing = str(tmp_path / "platform.toml")
    refuse(["client", "check", "--platform", missing], 11, "platform.toml", capsys)


def test_a_column_with_the_name_of_our_lines_is_left_alone_and_cannot_be_mapped(
    platform, tmp_path, capsys
):
    path = platform()
    header, *rows = (tmp_path / "events.csv").read_text().splitlines()
    more = "\n".join([f"{header},_line", *(f"{row},7" for row in rows)])
    (tmp_path / "events.csv").write_text(more + "\n")
    assert check(path) == 0
    path.write_text(path.read_text() + '[events.columns]\nquantity = "_line"\n')
    capsys.readouterr()
    assert check(path) == 14
    assert "a column called _line cannot be read" in capsys.readouterr().err
