"""A private federation whose clipping norm adapts: from the ledger to the claim."""

import json
from dataclasses import replace

import pytest
from private_platforms import private_job, workspaces

from isthmus.errors import OutboxError, ScenarioError
from isthmus.parameters import Shared
from isthmus.privacy import adaptive
from isthmus.privacy.schedule import PrivatePlan
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.ledger import Key, Ledger
from isthmus_client.outbox import Outbox
from isthmus_simulations import private_federation
from isthmus_simulations.audit.verdict import audit_run
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.plan import plan_for
from isthmus_simulations.privacy_claim import privacy_of
from isthmus_simulations.private_federation import (
    federate_privately,
    member_of,
    schedule_of,
    server_config,
)


def adaptive_job(out, *, quantile=0.5, **settings):
    job = private_job(out, **settings)
    private = replace(job.plan.private, clipping_quantile=quantile)
    return replace(job, plan=replace(job.plan, private=private))


def norms(out):
    """After each committed round, as the server's checkpoints have them."""
    paths = sorted((out / "rounds").glob("*.json"))
    return [json.loads(path.read_text())["checkpoint"]["clipping_norm"] for path in paths]


def test_a_resumed_run_goes_on_with_the_norm_that_it_had(tmp_path):
    """Pooled, audited, and its last round lost by the server."""
    job, shops = adaptive_job(tmp_path, trust="pooled", canaries=20), workspaces("a", "b")
    first = federate_privately(job, shops)
    begun = norms(tmp_path)
    assert len(set(begun)) == 4
    assert begun[0] == 1.0
    for path in (tmp_path / "rounds").glob("*0003*"):
        path.unlink()
    again = federate_privately(job, shops)
    assert again.final.fingerprint() == first.final.fingerprint()
    assert norms(tmp_path) == begun
    claim = privacy_of(job, shops, again).run
    assert (claim.clipping_norm, claim.clipping_quantile) == (1.0, 0.5)
    assert claim.last_clipping_norm == begun[-1]
    assert audit_run(tmp_path).consistent
    with Ledger(tmp_path / "ledgers" / "a.sqlite", read_only=True) as ledger:
        standing = ledger.standing(Key("journey/a"))
    assert (standing.rounds, standing.resent) == (3, 1)


def test_platforms_are_asked_for_the_norm_that_the_server_reads_by(tmp_path, monkeypatch):
    asked = []

    def watching(*given):
        member = member_of(*given)
        noise = replace(member.noise, watch=lambda plan, _: asked.append(plan.clipping_norm))
        return replace(member, noise=noise)

    monkeypatch.setattr(private_federation, "member_of", watching)
    federate_privately(adaptive_job(tmp_path, quantile=0.9), workspaces("a"))
    assert asked == norms(tmp_path)[:-1]
    assert len(set(asked)) == 3


def test_schedule_and_costs_are_those_of_a_fixed_norm(tmp_path):
    shops = workspaces("a", "b")
    job = adaptive_job(tmp_path)
    initial = initial_parameters(job.plan.encoder, 3)
    found = [
        schedule_of(plan, shops, initial)
        for plan in (job.plan.private, replace(job.plan.private, clipping_quantile=0.0))
    ]
    assert found[0].noise_multiplier == found[1].noise_multiplier
    assert found[0].delta == found[1].delta


@pytest.mark.parametrize(("asked", "words"), [(0.5, "lacks '.within'"), (0.0, "has '.within'")])
def test_the_door_lets_out_what_the_plan_asks_for(tmp_path, asked, words):
    job, shops = adaptive_job(tmp_path, quantile=asked), workspaces("a", "b")
    initial = initial_parameters(job.plan.encoder, 3)
    schedule = schedule_of(job.plan.private, shops, initial)
    member = member_of(job, shops[0], schedule)
    plan = server_config(job, schedule).plan_for(1)
    update = member.trainer.train(initial, plan).update
    tensors = dict(update.tensors)
    if asked:
        del tensors[adaptive.WITHIN]
    else:
        tensors[adaptive.WITHIN] = update.tensors["log_scale"].reshape(())
    outbox = member.outbox()
    assert isinstance(outbox, Outbox)
    with pytest.raises(OutboxError, match=words):
        outbox.send_update(Shared(tensors), received=initial, users=30, metrics={}, plan=plan)
    member.charge.ledger.close()
    assert not (tmp_path / "outbox").exists()


def test_the_option_reaches_the_plan(tmp_path):
    told = SimulationOptions(out=tmp_path, privacy="pooled", clipping_quantile=0.3)
    assert plan_for(told).private.clipping_quantile == 0.3
    assert plan_for(SimulationOptions(out=tmp_path, privacy="local")).private == PrivatePlan(
        "local", 8.0
    )


@pytest.mark.parametrize("quantile", [-0.1, 1.0, float("nan")])
def test_a_quantile_that_there_is_not_is_refused(quantile):
    with pytest.raises(ScenarioError, match="clipping_quantile"):
        PrivatePlan("local", 8.0, clipping_quantile=quantile)
