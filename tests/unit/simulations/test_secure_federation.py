"""A simulated federation with secure aggregation: the same encoder, and noise that is paid once."""

import json
from dataclasses import replace

import numpy as np
import pytest
from private_platforms import private_job, workspaces
from trainer_cases import CONFIG

from isthmus.errors import FederationError, ScenarioError
from isthmus.messages import RoundPlan
from isthmus.progress import Silent
from isthmus_client.ledger import Key, Ledger
from isthmus_simulations import private_federation
from isthmus_simulations.federation import federate, federated_curves, training_seconds
from isthmus_simulations.job import Clock, Job
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.private_federation import federate_privately
from isthmus_simulations.stages import Stages

ROUND = RoundPlan("", 0, 0, batch_size=8, learning_rate=0.01, negatives=7)


def plain_job(out, **options):
    told = SimulationOptions(out=out, workers=1, **options)
    plan = TrainingPlan(seed=3, rounds=2, encoder=CONFIG, round=ROUND)
    return Job(told, plan, Silent(), Stages(out / "stages"), Clock())


def difference(one, other):
    pairs = zip(one.tensors.values(), other.tensors.values(), strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def receipts(out, name):
    return [json.loads(x) for x in (out / "outbox" / f"{name}.jsonl").read_text().splitlines()]


def test_the_released_encoder_is_that_of_a_plain_run(tmp_path):
    plain = federate(plain_job(tmp_path / "plain"), workspaces("a", "b", "c"))
    secure = federate(
        plain_job(tmp_path / "secure", secure_aggregation=True), workspaces("a", "b", "c")
    )
    assert difference(plain.final, secure.final) < 1e-6
    assert secure.final.minus(plain.final).norm() > 0  # rounded, so not the very same run
    kinds = [line["kind"] for line in receipts(tmp_path / "secure", "a")]
    assert kinds == ["masked update", "masked update", "masked metrics"]


def test_reports_know_no_single_platform(tmp_path):
    run = federate(plain_job(tmp_path, secure_aggregation=True), workspaces("a", "b", "c"))
    curves = federated_curves(run)
    assert set(curves) == set("abc")
    assert all(point.ndcg is None for curve in curves.values() for point in curve)
    assert training_seconds(run, "a") > 0
    assert training_seconds(run, "a") == training_seconds(run, "b")


def ledger_of(out, name):
    with Ledger(out / "ledgers" / f"{name}.sqlite", read_only=True) as ledger:
        return ledger.standing(Key(f"journey/{name}"))


class _FailsOnce:
    """A platform that fails in its first round."""

    failed = False

    def __init__(self, trainer):
        self.trainer, self.platform = trainer, trainer.platform

    def train(self, parameters, plan):
        if not _FailsOnce.failed:
            _FailsOnce.failed = True
            raise RuntimeError("the disk of c is full")
        return self.trainer.train(parameters, plan)


@pytest.mark.parametrize("quantile", [0.0, 0.5])
def test_a_drop_out_discards_pooled_noise_and_the_next_attempt_sends_the_same_bytes(
    tmp_path, monkeypatch, caplog, quantile
):
    job = private_job(tmp_path, trust="pooled", secure_aggregation=True)
    adaptive = replace(job.plan.private, clipping_quantile=quantile)
    job = replace(job, plan=replace(job.plan, private=adaptive))
    _FailsOnce.failed = False
    member_of = private_federation.member_of

    def failing(*args, **kwargs):
        member = member_of(*args, **kwargs)
        trainer = member.trainer
        return replace(member, trainer=_FailsOnce(trainer)) if trainer.platform == "c" else member

    monkeypatch.setattr(private_federation, "member_of", failing)
    with caplog.at_level("CRITICAL"), pytest.raises(FederationError, match="3 are needed"):
        federate_privately(job, workspaces("a", "b", "c"))
    assert not list((tmp_path / "rounds").glob("*0001*"))
    assert ledger_of(tmp_path, "a").rounds == 1  # its share left under masks, and stays charged
    result = federate_privately(job, workspaces("a", "b", "c"))
    assert len(result.rounds) == 3
    standing = ledger_of(tmp_path, "a")
    assert (standing.rounds, standing.committed, standing.resent) == (3, 3, 1)
    first, again, *rest = receipts(tmp_path, "a")
    assert [first["kind"], again["kind"]] == ["masked update", "masked update again"]
    assert first["sha256"] == again["sha256"]
    assert first["masked_sha256"] != again["masked_sha256"]
    assert [line["kind"] for line in rest] == ["masked update"] * 2
    assert result.rounds[0].sum.users == 90  # three times the published 30
    assert result.rounds[0].sum.metrics == {}


def test_local_noise_is_summed_too(tmp_path):
    job = private_job(tmp_path, trust="local", secure_aggregation=True)
    result = federate_privately(job, workspaces("a", "b", "c"))
    assert [tuple(record.platforms) for record in result.rounds] == [("a", "b", "c")] * 3


@pytest.mark.parametrize(
    ("options", "names", "words"),
    [
        ({}, "ab", "with 2 platforms"),
        ({"engine": "ray"}, "abc", "--engine ray"),
        ({"aggregation": "median"}, "abc", "--aggregation median must see single updates"),
        ({"aggregation": "norm_bounded"}, "abc", "--aggregation norm_bounded must see"),
    ],
)
def test_what_cannot_be_summed_unseen_is_refused(tmp_path, options, names, words):
    job = plain_job(tmp_path, secure_aggregation=True, **options)
    with pytest.raises(ScenarioError, match=words):
        federate(job, workspaces(*names))
