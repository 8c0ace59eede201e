"""The command's mistakes are messages, and somebody else's folder is left alone."""

import pytest
from command_checks import refuse

from isthmus.cli import run


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--scenario", "nowhere"), 10, "there is no scenario 'nowhere'"),
        (("--data", "."), 10, "is a folder"),
        (("--scenario", "trio", "--data-folder", "nowhere"), 11, "nowhere"),
        (("--seeds", "0"), 2, "--seeds"),
    ],
)
def test_mistakes_are_messages(arguments, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    refuse(["benchmark", "transfer", *arguments, "--out", "other"], code, said, capsys)


def test_somebody_elses_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years")
    asked = ["benchmark", "transfer", "--scenario", "journey", "--restart", "--out", str(tmp_path)]
    assert run(asked) == 10
    assert (tmp_path / "thesis.txt").read_text() == "years"
    assert "holds other files" in " ".join(capsys.readouterr().err.split())


def test_two_scenarios_of_one_name_are_refused(tmp_path, monkeypatch, capsys):
    """Their cells would be taken for each other's."""
    monkeypatch.chdir(tmp_path)
    shop = '[[platforms]]\nname = "shop"\nsource = "files"\nevents = "e.csv"\nitems = "i.csv"\n'
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text(f'name = "same"\n{shop}')
    asked = ["--scenario", "one.toml", "--scenario", "two.toml", "--out", "out"]
    assert run(["benchmark", "transfer", *asked]) == 10
    assert "scenarios of one name were asked for: same" in capsys.readouterr().err
