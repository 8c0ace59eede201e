"""Progress and errors on standard error."""

import io
import json
import threading

import pytest
from rich.console import Console
from rich.text import Text

from isthmus.console import (
    RichProgress,
    progress_for,
    publish_json,
    show_banner,
    show_error,
    show_result,
)
from isthmus.errors import DataMissingError
from isthmus.progress import Silent


@pytest.fixture(name="log")
def _log():
    return io.StringIO()


def progress_in(log, *, terminal=False):
    return RichProgress(Console(file=log, force_terminal=terminal, width=90, highlight=False))


def test_a_log_gets_one_line_for_a_finished_task(log):
    with progress_in(log).track("encoding [items]", total=2500) as advance:
        for _ in range(10):
            advance(250)
    (line,) = log.getvalue().splitlines()
    assert line.startswith("encoding [items]: 2,500 done in ")
    assert line.endswith(" s")


def test_inner_tasks_do_not_fill_a_log(log):
    progress = progress_in(log)
    with progress.track("rounds", total=3) as outer:
        for _ in range(3):
            with progress.track("platforms", total=5) as inner:
                inner(5)
            outer(1)
    assert [line.partition(":")[0] for line in log.getvalue().splitlines()] == ["rounds"]


def test_a_task_that_fails_is_not_reported_as_done(log):
    with pytest.raises(ZeroDivisionError), progress_in(log).track("training", total=1):
        raise ZeroDivisionError
    assert log.getvalue() == ""


def test_bars_on_a_terminal_vanish(log):
    progress = progress_in(log, terminal=True)
    with progress.track("encoding", total=4) as advance:
        advance(4)
    shown = log.getvalue()
    assert "encoding" in shown
    assert "done in" not in shown
    assert "\x1b[2K" in shown.rpartition("encoding")[2]  # the bar's line is erased at the end


def test_tasks_of_several_threads_share_one_screen(log):
    progress = progress_in(log, terminal=True)
    barrier = threading.Barrier(4, timeout=30)

    def work():
        with progress.track("platform", total=3) as advance:
            barrier.wait()
            advance(3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with progress.track("afterwards", total=1) as advance:  # it can be started again
        advance(1)
    assert "afterwards" in log.getvalue()


def test_a_line_is_printed_as_it_is(log):
    progress_in(log).say("kept 3 of [bold]7[/bold] platforms")
    assert log.getvalue() == "kept 3 of [bold]7[/bold] platforms\n"


def test_an_error_for_a_person(capsys):
    show_error(DataMissingError("no file a[0].csv", hint="look in [data]"), as_json=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: no file a[0].csv\n hint: look in [data]\n"


def test_an_error_for_a_program(capsys):
    show_error(DataMissingError("no file a.csv", hint="look"), as_json=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err) == {
        "error": "DataMissingError",
        "message": "no file a.csv",
        "hint": "look",
        "exit_code": 11,
    }


def test_a_long_message_is_not_broken_in_a_log(capsys):
    show_error(DataMissingError("x" * 300), as_json=False)
    assert capsys.readouterr().err == f"error: {'x' * 300}\n"


def test_a_banner_stands_on_standard_error_and_is_never_cut(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    show_banner("NOT PRIVATE\nnothing is clipped and no noise is added to anything")
    out, err = capsys.readouterr()
    assert out == ""
    assert "NOT PRIVATE" in err
    assert "to anything" in err
    assert {len(line) for line in err.splitlines()} == {40}


def test_beside_json_there_is_no_progress():
    assert isinstance(progress_for(as_json=True), Silent)
    assert isinstance(progress_for(as_json=False), RichProgress)


def test_a_result_goes_to_standard_output_with_the_whole_path_of_its_report(tmp_path, capsys):
    report = tmp_path / ("deep[red]" * 20) / "report.html"
    show_result(Text("0.0531 [not markup]"), report)
    said = capsys.readouterr()
    assert said.out == f"0.0531 [not markup]\nReport: {report}\n"
    assert said.err == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_json_is_written_where_asked_and_printed_if_asked(tmp_path, capsys, as_json):
    publish_json({"ratio": 1.5}, tmp_path / "found.json", as_json=as_json)
    assert json.loads((tmp_path / "found.json").read_text()) == {"ratio": 1.5}
    printed = capsys.readouterr().out
    assert printed == ((tmp_path / "found.json").read_text() if as_json else "")
    publish_json({}, None, as_json=False)
    assert [each.name for each in tmp_path.iterdir()] == ["found.json"]
