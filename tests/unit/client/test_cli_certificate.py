"""The command: what it prints, and what it returns when a certificate does not hold."""

import json

import pytest
from certified_run import judged, small_workspace

from isthmus.cli import run as isthmus
from isthmus_client.certificate_files import issue


@pytest.fixture
def folder(tmp_path):
    workspace = small_workspace()
    issue(workspace, judged(workspace), tmp_path)
    return tmp_path


def test_it_shows_the_decision_and_its_grounds(folder, capsys):
    assert isthmus(["client", "certificate", str(folder)]) == 0
    shown = capsys.readouterr().out
    for words in ("shop serves", "candidate", "incumbent", "Histories and split", "margin 1 %"):
        assert words in shown


def test_json_is_the_certificate(folder, capsys):
    assert isthmus(["client", "certificate", str(folder), "--platform", "shop", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value == json.loads((folder / "certificates" / "shop.json").read_text())


def test_verified_it_returns_0(folder, capsys):
    assert isthmus(["client", "certificate", str(folder), "--verify"]) == 0
    assert "shop: every figure came out as written; from stored ranks: forest" in (
        capsys.readouterr().out
    )


def test_a_forged_certificate_returns_31_and_shows_the_figures(folder, capsys):
    path = folder / "certificates" / "shop.json"
    value = json.loads(path.read_text())
    honest = value["models"]["popularity"]["ndcg@10"]
    value["models"]["popularity"]["ndcg@10"] = 0.987654
    path.write_text(json.dumps(value))
    assert isthmus(["client", "certificate", str(folder), "--verify", "--json"]) == 31
    told = capsys.readouterr()
    (deviation,) = json.loads(told.out)["deviations"]
    assert deviation["written"] == 0.987654
    assert deviation["found"] == pytest.approx(honest)
    assert "models.popularity.ndcg@10" in json.loads(told.err)["message"]


def test_an_unknown_platform_or_folder_returns_11(folder, tmp_path, capsys):
    assert isthmus(["client", "certificate", str(folder), "--platform", "stall"]) == 11
    assert isthmus(["client", "certificate", str(tmp_path / "no")]) == 11
    assert "finished run" in capsys.readouterr().err
