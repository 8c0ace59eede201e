"""A certificate says what the gate saw, and comes out again or says where it does not."""

import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from certified_run import ITEMS, OWN, judged, small_workspace
from planted_histories import histories_of, platform_of

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus_client.certificate import Certificate, certify, code_digest, data_record
from isthmus_client.certificate_files import certified, issue, read_certificate, verify
from isthmus_client.certificate_page import render_page
from isthmus_client.evaluate import Evaluator
from isthmus_client.gate import decide
from isthmus_client.platform_files import save_platform
from isthmus_client.stored_models import measure, popularity_model, write_models
from isthmus_client.track_record import Outdone, Past, TrackRecord
from isthmus_client.workspace import Workspace


@pytest.fixture(scope="module")
def workspace():
    return small_workspace()


@pytest.fixture
def run(workspace, tmp_path):
    issue(workspace, judged(workspace), tmp_path)
    return tmp_path


def test_it_holds_what_the_gate_decides(workspace):
    made = judged(workspace)
    gate = Evaluator(workspace, "validation", "gate")
    qualities = {name: measure(model, gate) for name, model in made.models.items()}
    told, found = certify(workspace, made), decide("personalised", qualities, OWN, seed=5)
    assert (told.decision, told.served, told.reason) == (found.decision, found.served, found.reason)
    assert {name: model.ndcg for name, model in told.models.items()} == dict(found.validation)
    assert told.difference.difference == found.difference.mean
    assert told.equivalence.p_no_loss == found.equivalence.p_no_loss
    assert told.window.users == gate.task.users.size == told.difference.users
    assert told.models["forest"].settings == {"trees": 7}
    assert certify(workspace, made, qualities).model_dump(exclude={"created"}) == told.model_dump(
        exclude={"created"}
    )


def test_a_track_record_is_in_it_and_decides_when_it_is_measured_again(tmp_path):
    """The candidate of an earlier release was far ahead, this one is behind by a little."""
    lists = [[10 + user % 7, 1 + user % 3, 4] for user in range(240)]
    shop = Workspace(platform_of(histories_of(*lists), ITEMS), max_events=6)
    alone = certify(shop, judged(shop))
    own = {name: Outdone(ndcg=0.1, gain=0.8, standard_error=0.001) for name in OWN}
    record = TrackRecord(
        created=alone.created,
        platform="shop",
        release="cd" * 32,
        first=datetime(2024, 4, 1, tzinfo=UTC),
        last=datetime(2024, 4, 30, tzinfo=UTC),
        past=Past(users=100, ndcg=0.9, own=own),
    )
    told = issue(shop, replace(judged(shop), past=record), tmp_path)
    assert alone.both is alone.past is None
    assert told.past == record
    assert told.both.gain > alone.difference.difference / record.past.ndcg
    assert verify(tmp_path, "shop").deviations == ()
    page = html.unescape(render_page(told))
    assert "An earlier release" in page
    assert "+88.9 %, 100 users, 2024-04-01 to 2024-04-30" in page
    assert "this decides" in page


def test_a_gain_is_served_and_harm_ruled_out_and_a_loss_is_not():
    """Targets are items 1 to 3, which nobody trained on: the forest guesses, the head knows."""
    lists = [[10 + user % 7, 1 + user % 3, 4] for user in range(240)]
    shop = Workspace(platform_of(histories_of(*lists), ITEMS), max_events=6)
    bias = 50.0 * np.isin(np.arange(ITEMS), (1, 2, 3))
    better, worse = (
        certify(shop, replace(judged(shop, sign * bias), own=("forest",))) for sign in (1, -1)
    )
    assert (better.decision, better.served) == ("federated", "personalised")
    assert better.equivalence.no_harm_shown
    assert better.difference.low > 0
    assert (worse.decision, worse.served) == ("local", "forest")
    assert not worse.equivalence.no_harm_shown
    assert worse.difference.high < 0


def test_nobody_to_judge_by():
    lists = [[1, 2], [3, 4]]
    shop = Workspace(platform_of(histories_of(*lists), ITEMS), max_events=6)
    told = certify(
        shop,
        replace(
            judged(shop),
            models={
                "popularity": popularity_model(),
                "personalised": judged(shop).models["personalised"],
            },
            own=("popularity",),
        ),
    )
    assert (told.served, told.difference, told.equivalence) == ("popularity", None, None)
    assert told.window.users == 0
    assert "nobody could be judged by" in render_page(told)


def test_it_comes_back_from_disk_as_it_was(run, workspace):
    told = read_certificate(run, "shop")
    assert told == Certificate.load(run / "certificates" / "shop.json")
    assert told.data == data_record(workspace.platform)
    assert told.code_sha256 == code_digest()
    assert certified(run) == ("shop",)


def test_it_names_no_user_no_item_and_no_parameter(run, workspace):
    text = (run / "certificates" / "shop.json").read_text()
    text += (run / "certificates" / "shop.html").read_text()
    platform = workspace.platform
    assert not any(name in text for name in platform.histories.user_ids)
    assert not any(name in text for name in platform.catalogue.item_ids)
    numbers = re.findall(r"\[[^\]]*\]", (run / "certificates" / "shop.json").read_text())
    assert all(len(json.loads(found)) <= len(OWN) for found in numbers), "no column of values"


def test_the_page_needs_no_network_and_escapes_names(workspace):
    page = render_page(
        certify(workspace, judged(workspace)).model_copy(update={"platform": "<b>x"})
    )
    assert "<b>x" not in page
    assert "&lt;b&gt;x" in page
    assert not re.search(r"(src|href)=\"(?!data:,)", page)
    assert "<script" not in page
    assert "default-src 'none'" in html.unescape(page)


def test_measured_again_it_holds_without_any_training(run):
    found = verify(run, "shop")
    assert found.deviations == ()
    assert found.stored_ranks == ("forest",)
    assert found.same_code


def test_a_forged_figure_is_found(run):
    path = run / "certificates" / "shop.json"
    value = json.loads(path.read_text())
    value["models"]["personalised"]["ndcg@10"] += 0.01
    value["served"] = "personalised"
    path.write_text(json.dumps(value))
    told = {each.field for each in verify(run, "shop").deviations}
    assert told == {"models.personalised.ndcg@10", "served"}


def test_an_exchanged_model_is_found(run, workspace):
    other = judged(workspace, np.linspace(-30, 30, ITEMS)).models
    write_models({"personalised": other["personalised"]}, run / "private" / "shop")
    told = {each.field for each in verify(run, "shop").deviations}
    assert {"models.personalised.parameters", "models.personalised.ndcg@10"} <= told


def test_other_data_is_found(run):
    save_platform(small_workspace(seed=4).platform, run / "platforms" / "shop")
    with pytest.raises(DataInvalidError, match="other users or targets"):
        verify(run, "shop")
    (run / "private" / "shop" / "forest.safetensors").unlink()
    write_models({"forest": popularity_model()}, run / "private" / "shop")
    told = {each.field for each in verify(run, "shop").deviations}
    assert {"data.histories_sha256", "models.forest.parameters"} <= told


def test_what_is_not_there_is_named(run, tmp_path):
    with pytest.raises(DataMissingError, match="no certificates"):
        certified(tmp_path / "elsewhere")
    with pytest.raises(DataMissingError, match="'stall'") as caught:
        read_certificate(run, "stall")
    assert "shop" in caught.value.hint
    (run / "certificates" / "shop.json").write_text('{"platform": 3}')
    with pytest.raises(DataInvalidError, match=r"shop\.json"):
        verify(run, "shop")


def test_the_digest_follows_every_column(workspace):
    platform = workspace.platform
    histories, split, catalogue = platform.histories, platform.split, platform.catalogue
    others = [
        replace(platform, histories=replace(histories, items=histories.items[::-1].copy())),
        replace(platform, histories=replace(histories, times=histories.times + 1)),
        replace(platform, split=replace(split, train_stop=split.train_stop - 1)),
        replace(platform, catalogue=replace(catalogue, texts=catalogue.texts[::-1])),
        replace(platform, vectors=platform.vectors + 1),
    ]
    found = {data_record(each).model_dump_json() for each in (platform, *others)}
    assert len(found) == 1 + len(others)
