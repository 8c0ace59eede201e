"""A trial's figures: who is compared, what is said, and what never stands in it."""

import html
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from planted_histories import random_platform
from rich.console import Console
from tried_release import SETTINGS, released

from isthmus.border import split
from isthmus.errors import DataInvalidError
from isthmus.progress import Silent
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client.own_platform import OwnPlatform
from isthmus_client.trial import run_trial
from isthmus_client.trial_page import LABEL_GAP, chart, render_page
from isthmus_client.trial_results import MAIN_DIFFERENCE, TrialResults
from isthmus_client.trial_table import render, verdict

OWN = {"popularity", "recent_popularity", "item_knn", "prior", "sasrec", "local"}


@pytest.fixture(scope="module")
def own():
    platform = random_platform(users=130, items=25, events=9, seed=4, name="secretshop")
    return OwnPlatform(platform, None, None, ("a note <b>",))


@pytest.fixture(scope="module")
def results(own):
    return run_trial(own, released(), SETTINGS, Silent())


def test_every_size_has_its_models(results):
    assert [size.users for size in results.sizes] == [0, 100, results.data.training_users]
    assert results.sizes[0].models.keys() == {"prior", "release"}
    for size in results.sizes[1:]:
        assert size.models.keys() == OWN | {"release", "personalised"}
        assert size.gate.served in OWN | {"personalised"}


def test_the_best_own_model_is_the_best_on_the_test_users(results):
    for size in results.sizes:
        own = {name: m.ndcg for name, m in size.models.items() if name in OWN}
        assert own[size.best_own] == max(own.values())


def test_differences_are_those_of_the_means(results):
    whole = results.whole
    main = whole.differences[MAIN_DIFFERENCE]
    means = [whole.models[name].ndcg for name in ("personalised", whole.best_own)]
    assert main.difference == pytest.approx(means[0] - means[1])
    assert main.low <= main.difference <= main.high


def test_the_same_seed_gives_the_same_figures(own, results):
    again = run_trial(own, released(), SETTINGS, Silent())
    for one, other in zip(results.sizes, again.sizes, strict=True):
        assert one.models == other.models
        assert one.gate == other.gate


def test_no_id_and_no_text_of_the_platform_stands_in_the_results(own, results):
    written = results.to_json() + render_page(results)
    histories, catalogue = own.platform.histories, own.platform.catalogue
    for secret in (*histories.user_ids, *catalogue.item_ids, *catalogue.texts):
        assert not re.search(rf"\b{re.escape(secret)}\b", written)


def test_it_can_be_read_again(results, tmp_path):
    results.save(tmp_path / "trial.json")
    again = TrialResults.model_validate_json((tmp_path / "trial.json").read_bytes())
    assert again == results


def test_a_release_of_another_width_is_refused(own):
    with pytest.raises(DataInvalidError, match="vectors of 9 numbers, the text encoder makes 6"):
        run_trial(own, released(content=9), SETTINGS, Silent())


def test_few_gate_users_are_warned_of(results):
    few = [line for line in results.warnings if "too few" in line]
    assert bool(few) == (results.whole.gate.users < 25)


def test_a_stand_in_for_the_releases_ranker_is_said(own, results):
    said = [line for line in results.warnings if "the public one" in line]
    assert len(said) == 1
    release = released()
    whole = replace(release, ranker=split(initial_ranker(RankerConfig(), seed=1))[0])
    assert not any(
        "the public one" in line for line in run_trial(own, whole, SETTINGS, Silent()).warnings
    )


def test_a_draw_of_test_users_is_said(own, results):
    drawn = run_trial(own, released(), replace(SETTINGS, ranked=40), Silent())
    assert drawn.data.test_users == 40
    assert f"40 of {results.data.test_users} test users were drawn at random" in drawn.warnings
    assert not any("test users were drawn" in line for line in results.warnings)


def test_the_terminal_fits_in_eighty_columns_and_says_what_left(results):
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(render(results))
    said = console.export_text()
    assert max(map(len, said.splitlines())) <= 80
    assert "Nothing left this computer" in said
    assert "\N{HORIZONTAL ELLIPSIS}" not in said
    assert " ".join(verdict(results).split()[:6]) in said


def test_the_page_lets_nothing_in_and_escapes(results):
    page = render_page(results)
    assert "default-src 'none'" in html.unescape(page)
    assert "<script" not in page
    assert "a note &lt;b&gt;" in page
    assert not re.search(r"(src|href)=\"(?!data:,)", page)
    for size in results.sizes:
        for metrics in size.models.values():
            assert f"{metrics.ndcg:.4f}" in page


def test_the_charts_labels_keep_clear_of_each_other(results):
    drawn = chart(results)
    places = [line.label_y for line in drawn.lines]
    assert {line.model for line in drawn.lines} == OWN | {"release", "personalised"}
    assert (np.diff(places) >= LABEL_GAP - 1e-9).all()
