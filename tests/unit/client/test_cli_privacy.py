"""`isthmus client privacy plan`: what it prints, what it returns, and its errors."""

import json

import pytest

from isthmus.cli import run

PLAN = ["client", "privacy", "plan"]
USEFUL = ["--users", "5000", "--rounds", "20", "--epsilon", "8", "--parameters", "20000"]
DROWNED = ["--users", "900", "--rounds", "60", "--epsilon", "2", "--parameters", "40000"]
POOLED = ["--users", "900", "--rounds", "20", "--epsilon", "8", "--parameters", "20000"]


def planned(capsys, *options):
    code = run([*PLAN, *options])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_useful_plan(capsys):
    code, out, _ = planned(capsys, *USEFUL, "--batch", "500")
    assert code == 0
    assert "20 rounds of 20,000 parameters, 5,000 users, delta 1e-05, trust mode local" in out
    assert "useful, best" in out
    assert "too noisy" not in out.partition("useful, best")[0]
    assert "A person on platforms" in out
    assert "Colluding" not in out


def test_a_plan_that_drowns_is_refused_with_what_would_do(capsys):
    code, out, err = planned(capsys, *DROWNED, "--batch", "900")
    assert code == 32
    assert "too noisy, least" in out
    assert "epsilon 2 leaves nothing to learn from" in err
    assert "nothing was spent" in err
    assert "train at most" in err
    assert "run " in err
    assert "(--platforms " in err


def test_a_hopeless_plan_says_what_it_takes(capsys):
    wish = ["--users", "30", "--rounds", "50", "--epsilon", "1", "--parameters", "1000000000"]
    code, _, err = planned(capsys, *wish, "--batch", "30")
    assert code == 32
    assert "it takes more users or a larger epsilon" in err


def test_json_of_a_useful_plan(capsys):
    code, out, _ = planned(capsys, *USEFUL, "--batch", "500", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["useful"] is True
    assert found["mode"] == "local"
    assert found["remedies"] is None
    assert found["best"] == found["rows"][0]
    assert found["best"]["noise_norm"] == pytest.approx(
        found["best"]["noise_multiplier"] * 20_000**0.5 / 500
    )
    assert [each["epsilon"] for each in found["other_epsilons"]] == [4, 2, 1]
    on = found["epsilon_of_a_person_on_platforms"]
    assert list(on) == ["1", "2", "3", "5"]
    assert on["1"] == pytest.approx(found["epsilon"])
    assert found["epsilon"] <= 8
    assert sorted(on.values()) == list(on.values())


def test_json_of_a_refused_plan_has_both(capsys):
    code, out, err = planned(capsys, *DROWNED, "--batch", "900", "--json")
    found, error = json.loads(out), json.loads(err)
    assert code == error["exit_code"] == 32
    assert found["useful"] is False
    assert found["remedies"]["parameters"] < 40_000
    assert f"{found['remedies']['platforms']} platforms" in error["hint"]


def test_pooled_noise_tells_of_colluders_and_of_persons_on_several_platforms(capsys):
    pool = ["--platforms", "3", "--batch", "300", "--json"]
    code, out, _ = planned(capsys, *POOLED, *pool)
    found = json.loads(out)
    assert code == 0
    assert found["mode"] == "pooled"
    assert found["wish"]["colluding"] == 1, "a platform that takes part knows its own share"
    by_colluders = found["epsilon_by_colluding_platforms"]
    assert list(by_colluders) == ["0", "1", "2"]
    assert by_colluders["0"] < by_colluders["1"] <= 8 < by_colluders["2"]
    assert by_colluders["1"] == pytest.approx(found["epsilon"])
    on = found["epsilon_of_a_person_on_platforms"]
    assert list(on) == ["1", "2", "3"]
    assert on["2"] > 1.5 * on["1"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([*USEFUL, "--batch", "5001"], 10, "batch is 5001, expected 1 to 5000"),
        ([*USEFUL, "--epsilon", "0"], 10, "epsilon is 0.0, expected above 0"),
        ([*USEFUL, "--delta", "0.7"], 10, "delta is 0.7"),
        ([*USEFUL, "--cohort-users", "9000"], 10, "say how many platforms"),
        ([*USEFUL, "--platforms", "3", "--colluders", "3"], 10, "colluders is 3"),
        (USEFUL[:-2], 2, "--parameters"),
        ([*USEFUL, "--rounds", "0"], 2, "--rounds"),
    ],
)
def test_errors_name_what_is_wrong(capsys, options, code, message):
    returned, out, err = planned(capsys, *options)
    assert returned == code
    assert message in err
    assert not out
