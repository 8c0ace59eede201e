"""A release can be loaded as its card says, and nothing that was altered passes."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest
from example_results import example_results, private_results
from safetensors.numpy import load_file, save_file

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.parameters import Shared
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client.release import (
    CARD_NAME,
    ENCODER_NAME,
    RANKER_NAME,
    fingerprint_of,
    load_release,
    write_ranker,
)
from isthmus_simulations.report.model_card import render_card, write_release
from isthmus_simulations.results import Privacy, ScenarioInfo

CONFIG = EncoderConfig(content=12, dim=8, layers=1, max_events=6)
RESULTS = example_results()


@pytest.fixture(scope="module")
def encoder():
    return split(initial_encoder(CONFIG, seed=5))[0]


@pytest.fixture
def folder(encoder, tmp_path):
    write_release(encoder, asdict(CONFIG), RESULTS, tmp_path / "release")
    return tmp_path / "release"


@pytest.fixture(scope="module")
def ranker():
    return split(initial_ranker(RankerConfig(), seed=3))[0]


@pytest.fixture
def whole(encoder, ranker, tmp_path):
    """A release of both parts."""
    write_release(encoder, asdict(CONFIG), RESULTS, tmp_path / "whole", ranker=ranker)
    return tmp_path / "whole"


def test_what_is_loaded_is_what_was_written(encoder, folder):
    release = load_release(folder)
    assert release.encoder.fingerprint() == encoder.fingerprint() == release.fingerprint
    assert EncoderConfig(**release.config) == CONFIG
    assert release.round == 30
    assert sorted(entry.name for entry in folder.iterdir()) == [ENCODER_NAME, CARD_NAME]


def run_the_cards_code(folder, monkeypatch):
    code = re.search(r"```python\n(.*?)```", (folder / CARD_NAME).read_text(), re.DOTALL).group(1)
    monkeypatch.chdir(folder)
    names = {}
    exec(compile(code, CARD_NAME, "exec"), names)  # noqa: S102 - the card is ours
    return names


def test_the_cards_own_code_loads_it(encoder, folder, monkeypatch):
    names = run_the_cards_code(folder, monkeypatch)
    assert split(names["encoder"])[0].fingerprint() == encoder.fingerprint()
    assert "ranker" not in names


def test_the_cards_own_code_loads_both_parts(encoder, ranker, whole, monkeypatch):
    names = run_the_cards_code(whole, monkeypatch)
    assert split(names["encoder"])[0].fingerprint() == encoder.fingerprint()
    assert split(names["ranker"])[0].fingerprint() == ranker.fingerprint()


def test_the_card_has_the_sections_of_mitchell_and_the_hash(encoder, folder):
    card = (folder / CARD_NAME).read_text()
    sections = re.findall(r"^## (.+)$", card, re.MULTILINE)
    assert sections == [
        "Model details",
        "Intended use",
        "Factors",
        "Training data",
        "Evaluation",
        "Privacy",
        "Limits and recommendations",
        "How to load it",
    ]
    assert encoder.fingerprint() in card
    assert "> **NOT PRIVATE" in card
    assert "+7.9 %" in card


def test_the_card_names_the_fingerprints_of_both_parts_and_of_the_whole(encoder, ranker, whole):
    card = (whole / CARD_NAME).read_text()
    assert f"encoder `{encoder.fingerprint()}`" in card
    assert f"ranker `{ranker.fingerprint()}`" in card
    assert f"`{fingerprint_of(encoder, ranker)}`" in card
    assert "none in this release" not in card
    assert load_release(whole).ranker.fingerprint() == ranker.fingerprint()


def test_a_card_without_a_ranker_says_so(encoder):
    card = render_card(encoder, asdict(CONFIG), RESULTS)
    assert "**Ranker**: none in this release." in card
    assert RANKER_NAME not in card


def test_another_ranker_under_the_same_card_is_noticed(encoder, whole):
    other = split(initial_ranker(RankerConfig(), seed=4))[0]
    write_ranker(other, whole, encoder=encoder)
    with pytest.raises(DataInvalidError, match="describes another ranker"):
        load_release(whole)


def test_the_card_names_no_platform_that_took_part(encoder):
    card = render_card(encoder, asdict(CONFIG), example_results(newcomer=None, warnings=()))
    for name, platform in RESULTS.platforms.items():
        assert name not in card
        assert f"{platform.models['personalised'].ndcg:.4f}" not in card


def test_a_private_run_states_its_budget_and_no_alarm(encoder):
    private = Privacy(mechanism="local", statement="User-level DP", epsilon=8.0, delta=1e-6)
    card = render_card(encoder, asdict(CONFIG), example_results(privacy=private))
    assert "\N{GREEK SMALL LETTER EPSILON} = 8," in card
    assert "NOT PRIVATE" not in card


def test_a_private_card_says_for_whom_and_shows_no_ledger(encoder):
    results = private_results()
    card = render_card(encoder, asdict(CONFIG), results)
    for figure in ("7.88", "17.5", "13.2", "1.25", "0.43", "95 % sure"):
        assert figure in card
    assert "ledger" not in card


def test_foreign_text_is_no_markup(encoder):
    hostile = ScenarioInfo(name="x\n# <b>bold</b>", description="[a](javascript:alert)")
    card = render_card(encoder, asdict(CONFIG), example_results(scenario=hostile))
    assert "<b>" not in card.replace("\\<b\\>", "")
    assert "\n# <" not in card
    assert "[a](" not in card.replace("\\[a\\](", "")


def test_an_absent_release_is_named(tmp_path):
    with pytest.raises(DataMissingError, match="no release"):
        load_release(tmp_path)


def test_a_cut_file_is_damaged(folder):
    path = folder / ENCODER_NAME
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataInvalidError, match="damaged"):
        load_release(folder)


def test_one_altered_weight_is_noticed(folder):
    path = folder / ENCODER_NAME
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataInvalidError, match="was altered"):
        load_release(folder)


def test_another_encoder_under_the_same_card_is_noticed(encoder, folder, tmp_path):
    other = Shared({name: tensor + np.float32(1) for name, tensor in encoder.tensors.items()})
    path = write_release(other, asdict(CONFIG), RESULTS, tmp_path / "other")
    (folder / ENCODER_NAME).write_bytes(path.read_bytes())
    with pytest.raises(DataInvalidError, match="describes another encoder"):
        load_release(folder)


def test_a_foreign_safetensors_file_is_refused(folder):
    path = folder / ENCODER_NAME
    save_file(load_file(path), path, {"format": "pt"})
    with pytest.raises(DataInvalidError, match="format 'pt'"):
        load_release(folder)


def test_a_card_that_cannot_be_made_leaves_no_half_release(encoder, tmp_path):
    with pytest.raises(TypeError):
        write_release(encoder, {"dim": object()}, RESULTS, tmp_path / "release")
    assert not (tmp_path / "release").exists()


def test_the_metadata_hold_what_a_loader_needs(folder):
    header = (folder / ENCODER_NAME).read_bytes()
    length = int.from_bytes(header[:8], "little")
    metadata = json.loads(header[8 : 8 + length])["__metadata__"]
    text = {"text_encoder", "text_encoder_fingerprint"}
    assert set(metadata) == {"format", "config", "fingerprint", "round"} | text


def test_the_round_is_the_released_one_and_not_the_last(encoder, tmp_path):
    results = RESULTS.model_copy(update={"config": {**RESULTS.config, "best_round": 8}})
    write_release(encoder, asdict(CONFIG), results, tmp_path / "release")
    assert load_release(tmp_path / "release").round == 8
    assert "**Round**: 8 of 30" in (tmp_path / "release" / CARD_NAME).read_text()
