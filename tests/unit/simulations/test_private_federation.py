"""A private federation on one machine: what is charged, what leaves, and what a crash costs."""

import json
from dataclasses import replace

import pytest
from example_results import example_results, private_results
from private_platforms import private_job, workspaces

from isthmus.audit_log import verify_log
from isthmus.errors import AuditError, BudgetError, FederationError, LedgerError, ScenarioError
from isthmus.privacy.schedule import PrivatePlan
from isthmus_client import charge
from isthmus_client.ledger import Key, Ledger
from isthmus_simulations import private_federation
from isthmus_simulations.audit.verdict import audit_run
from isthmus_simulations.privacy_claim import drowned, privacy_of
from isthmus_simulations.private_federation import federate_privately

TRUSTS = pytest.mark.parametrize("trust", ["local", "pooled"])


def ledger_of(out, name):
    return Ledger(out / "ledgers" / f"{name}.sqlite", read_only=True)


def charged(out, name):
    with ledger_of(out, name) as ledger:
        return ledger.standing(Key(f"journey/{name}"))


def receipts(out, name):
    text = (out / "outbox" / f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@TRUSTS
def test_every_round_is_charged_and_the_budget_is_kept(tmp_path, trust):
    job, shops = private_job(tmp_path, trust=trust), workspaces("a", "b", "c")
    result = federate_privately(job, shops)
    assert [record.round for record in result.rounds] == [1, 2, 3]
    assert result.final.minus(result.best).norm() == 0  # the last round is released
    for name in "abc":
        standing = charged(tmp_path, name)
        assert (standing.rounds, standing.committed) == (3, 3)
        assert 0 < standing.spent <= standing.held <= 8.0


@TRUSTS
def test_what_leaves_is_noised_sums_and_published_numbers(tmp_path, trust):
    federate_privately(private_job(tmp_path, trust=trust), workspaces("a", "b"))
    lines = receipts(tmp_path, "a")
    assert [line["kind"] for line in lines] == ["update"] * 3
    assert {line["users"] for line in lines} == {30}  # of 33
    assert all(line["metrics"] == {} for line in lines)
    spent = [line["epsilon"] for line in lines]
    assert spent == sorted(spent)
    assert 0 < spent[-1] <= 8.0
    assert verify_log(tmp_path / "outbox" / "a.jsonl").first_bad is None
    with ledger_of(tmp_path, "a") as ledger:
        ledger.require_contains(*(line["ledger"] for line in lines))


@TRUSTS
def test_a_round_that_the_server_lost_is_sent_again_and_not_charged_again(tmp_path, trust):
    job, shops = private_job(tmp_path, trust=trust), workspaces("a", "b")
    first = federate_privately(job, shops)
    for path in (tmp_path / "rounds").glob("*0003*"):
        path.unlink()
    again = federate_privately(job, workspaces("a", "b"))
    assert again.final.fingerprint() == first.final.fingerprint()
    standing = charged(tmp_path, "a")
    assert (standing.rounds, standing.committed, standing.resent) == (3, 3, 1)
    assert receipts(tmp_path, "a")[-1]["kind"] == "update again"


@TRUSTS
def test_a_run_that_goes_back_sends_the_same_bytes_and_is_not_charged_again(tmp_path, trust):
    job = private_job(tmp_path, trust=trust)
    first = federate_privately(job, workspaces("a", "b"))
    for path in (tmp_path / "rounds").glob("*000[23]*"):
        path.unlink()
    again = federate_privately(job, workspaces("a", "b"))
    assert again.final.fingerprint() == first.final.fingerprint()
    standing = charged(tmp_path, "a")
    assert (standing.rounds, standing.committed, standing.resent) == (3, 3, 2)


def test_bytes_of_old_rounds_are_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(charge, "KEPT", 2)
    federate_privately(private_job(tmp_path), workspaces("a", "b"))
    kept = sorted(path.name for path in (tmp_path / "sent" / "a").rglob("*.safetensors"))
    assert kept == ["round-00000002.safetensors", "round-00000003.safetensors"]


def test_a_ledger_begun_anew_is_found_out_by_the_receipts(tmp_path):
    federate_privately(private_job(tmp_path), workspaces("a", "b"))
    for path in (tmp_path / "ledgers").glob("a.sqlite*"):
        path.unlink()
    with pytest.raises(LedgerError):
        federate_privately(private_job(tmp_path), workspaces("a", "b"))


def test_lost_bytes_are_computed_and_charged_anew(tmp_path):
    job = private_job(tmp_path)
    first = federate_privately(job, workspaces("a", "b"))
    for path in (
        *(tmp_path / "rounds").glob("*0003*"),
        *(tmp_path / "sent").rglob("*.safetensors"),
    ):
        path.unlink()
    again = federate_privately(job, workspaces("a", "b"))
    assert again.final.fingerprint() != first.final.fingerprint()
    assert charged(tmp_path, "a").rounds == 4  # one of the spare rounds
    for path in (*(tmp_path / "rounds").glob("*000[123]*"), *(tmp_path / "sent").rglob("*.saf*")):
        path.unlink()
    with pytest.raises((BudgetError, FederationError)):  # two rounds are spare, no more
        federate_privately(job, workspaces("a", "b"))
    assert charged(tmp_path, "a").spent <= 8.0


def test_a_lost_share_of_pooled_noise_is_not_made_a_second_time(tmp_path):
    federate_privately(private_job(tmp_path, trust="pooled"), workspaces("a", "b"))
    for path in (*(tmp_path / "rounds").glob("*0003*"), *(tmp_path / "sent" / "a").rglob("*.saf*")):
        path.unlink()
    with pytest.raises(FederationError, match="OutboxError"):
        federate_privately(private_job(tmp_path, trust="pooled"), workspaces("a", "b"))
    assert charged(tmp_path, "a").rounds == 3


def test_pooled_noise_without_one_share_releases_nothing(tmp_path, monkeypatch):
    job, shops = private_job(tmp_path, trust="pooled"), workspaces("a", "b", "c")

    def broken(*args, **kwargs):
        member = private_federation_member(*args, **kwargs)
        return replace(member, trainer=_Absent(member.trainer)) if _name(args) == "c" else member

    private_federation_member = private_federation.member_of
    monkeypatch.setattr(private_federation, "member_of", broken)
    with pytest.raises(FederationError):
        federate_privately(job, shops)
    assert not list((tmp_path / "rounds").glob("*0001*"))
    assert charged(tmp_path, "a").rounds == 1  # its share left, and stays charged


def _name(args):
    return args[1].platform.name


class _Absent:
    """A platform that fails in every round."""

    def __init__(self, trainer):
        self.platform = trainer.platform

    def train(self, parameters, plan):  # noqa: ARG002 - the seam's face
        raise RuntimeError("the disk of c is full")


def test_canaries_watch_a_run_and_agree_with_its_claim(tmp_path):
    federate_privately(private_job(tmp_path, trust="pooled", canaries=60), workspaces("a", "b"))
    found = audit_run(tmp_path)
    assert [bound.platform for bound in found.bounds] == ["a", "b"]
    assert found.consistent
    assert all(bound.guesses.canaries == 60 for bound in found.bounds)


def test_a_run_is_audited_unless_it_is_told_not_to_be(tmp_path):
    shops = workspaces("a", "b")
    federate_privately(private_job(tmp_path / "audited", rounds=1, canaries=None), shops)
    found = audit_run(tmp_path / "audited")
    assert all(bound.guesses.canaries > 100 for bound in found.bounds)
    federate_privately(private_job(tmp_path / "not", rounds=1), shops)
    assert not (tmp_path / "not" / "audit").exists()


def test_a_run_without_its_noise_is_not_released(tmp_path, monkeypatch):
    from isthmus.privacy.randomness import SecureSource  # noqa: PLC0415 - replaced here alone

    monkeypatch.setattr(
        SecureSource, "normals", lambda _, count: SecureSource().uniforms(count) * 0
    )
    job = private_job(tmp_path, epsilon=1.0, rounds=8, canaries=400)
    with pytest.raises(AuditError, match="claimed"):
        federate_privately(job, workspaces("a", "b"))


@TRUSTS
def test_the_claim_is_what_the_ledgers_say(tmp_path, trust):
    job, shops = private_job(tmp_path, trust=trust), workspaces("a", "b", "c")
    claim = privacy_of(job, shops, federate_privately(job, shops))
    assert claim.mechanism == "gaussian"
    assert claim.epsilon == max(claim.run.spent.values()) <= 8.0
    assert claim.run.spent["a"] == pytest.approx(charged(tmp_path, "a").spent)
    over = list(claim.run.overlap.values())
    assert over == sorted(over)
    assert over[0] == pytest.approx(claim.epsilon, rel=1e-3)
    if trust == "pooled":
        against = list(claim.run.collusion.values())
        assert against == sorted(against)
        assert len(against) == 3


def test_pooled_costs_less_noise_with_more_trust(tmp_path):
    shops = workspaces("a", "b", "c")
    one = private_job(tmp_path / "1", trust="pooled", colluders=1)
    none = private_job(tmp_path / "0", trust="pooled")
    claims = [privacy_of(job, shops, federate_privately(job, shops)).run for job in (one, none)]
    assert claims[0].collusion[1] <= 8.0 < claims[1].collusion[1]


def test_ray_is_refused(tmp_path):
    with pytest.raises(ScenarioError, match="--engine ray"):
        federate_privately(private_job(tmp_path, engine="ray"), workspaces("a", "b"))


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": float("nan")}, "epsilon"),
        ({"colluders": 1}, "1"),
    ],
)
def test_a_plan_that_protects_nobody_is_refused(values, what):
    with pytest.raises(ScenarioError, match=what):
        PrivatePlan(**{"trust": "local", "epsilon": 8.0, **values})


def test_noise_that_drowns_the_signal_is_told(tmp_path):
    job, shops = private_job(tmp_path, epsilon=0.01, rounds=1), workspaces("a", "b")
    (warning,) = drowned(privacy_of(job, shops, federate_privately(job, shops)))
    assert "useful up to about 2" in warning
    assert drowned(private_results().privacy) == ()
    assert drowned(example_results().privacy) == ()


@pytest.mark.parametrize("colluders", [1, 5])
def test_too_many_colluders_are_refused(tmp_path, colluders):
    job = private_job(tmp_path, trust="pooled", colluders=colluders)
    with pytest.raises(ScenarioError, match="two must be honest"):
        federate_privately(job, workspaces("a", "b"))
