"""The command's mistakes are messages, and somebody else's folder is left alone."""

import json

import pytest
from command_checks import refuse

from isthmus.cli import run
from isthmus.errors import ScenarioError
from isthmus_simulations.price.options import EPSILONS, PriceOptions


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--scenario", "nowhere"), 10, "there is no scenario 'nowhere'"),
        (("--data-folder", "nowhere"), 11, "nowhere"),
        (("--epsilons", "8,few"), 10, "--epsilons is '8,few'"),
        (("--epsilons", "8,inf"), 10, "--epsilons has [inf]"),
        (("--epsilons", "0"), 10, "--epsilons has [0.0]"),
        (("--trust", "pooled,nobody"), 10, "--trust has ['nobody']"),
        (("--seeds", "0"), 2, "--seeds"),
    ],
)
def test_mistakes_are_messages(arguments, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    refuse(["benchmark", "privacy", *arguments, "--out", "other"], code, said, capsys)


@pytest.mark.parametrize("mark", [None, {"benchmark": "transfer"}, "damaged"])
def test_somebody_elses_folder_is_left_alone(tmp_path, capsys, mark):
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "thesis.txt").write_text("years")
    if mark is not None:
        (tmp_path / "benchmark.json").write_text(
            json.dumps(mark)[: 9 if mark == "damaged" else None]
        )
    asked = ["benchmark", "privacy", "--scenario", "journey", "--restart", "--out", str(tmp_path)]
    assert run(asked) == 10
    assert (tmp_path / "cells" / "thesis.txt").read_text() == "years"
    assert "holds other files" in " ".join(capsys.readouterr().err.split())


def test_the_default_epsilons_are_those_of_the_goals():
    assert EPSILONS == (8.0, 4.0, 2.0, 1.0)


@pytest.mark.parametrize("less", [{"quick": True}, {"max_users": 500}, {"rounds": 2}])
def test_goals_ask_for_everybody_and_the_full_plan(tmp_path, less):
    assert PriceOptions(out=tmp_path).whole
    assert not PriceOptions(out=tmp_path, **less).whole


def test_nothing_to_measure_is_refused(tmp_path):
    with pytest.raises(ScenarioError, match="nothing to measure"):
        PriceOptions(out=tmp_path, epsilons=())


def test_what_is_asked_can_be_asked_again(tmp_path):
    asked = PriceOptions(out=tmp_path, epsilons=(3.0,)).asked()
    assert json.loads(json.dumps(asked)) == asked
    assert "out" not in asked
