"""A proposal says what a run asks for, and refuses what cannot be kept; nothing is spent by it."""

import pytest
from contract_cases import key_of
from proposal_cases import PLAIN, POOLED, SHOPS, beat, request, roster
from state_databases import join

from isthmus.encoder_config import default_encoder, tensor_shapes
from isthmus.errors import BudgetError, DataMissingError, NotApprovedError, ScenarioError
from isthmus.federation_contract import FederationContract
from isthmus.federation_contract_claim import require_claim
from isthmus.federation_contract_signing import verify_contract
from isthmus_server.from_contract import server_config
from isthmus_server.noised_sum import NoisedSum
from isthmus_server.optimisers import FedAdam, FedAvgM
from isthmus_server.run_proposal import draft, propose
from isthmus_server.run_request import read_request, request_from
from isthmus_server.state import open_state

SERVER = key_of("server")


@pytest.fixture
def state(tmp_path):
    with open_state(tmp_path / "state.sqlite") as opened:
        yield opened


def test_a_proposal_waits_in_the_state_signed_and_for_a_reason(state):
    roster(state)
    contract = propose(state, request(**PLAIN, name="first"), SERVER).contract
    row = state.runs.get("run-1")
    public = SERVER.public_key().public_bytes_raw()
    assert verify_contract(row.contract, row.signature, public) == contract
    assert row.contract_sha256 == contract.sha256
    assert (row.status, row.wanted) == ("proposed", "run")
    assert row.reason == "waits for approval by: anvil, bellows, crucible"
    assert [event.kind for event in state.events.list(run="run-1")] == ["run-proposed"]
    assert propose(state, request(**PLAIN), SERVER).contract.run == "run-2"


def test_defaults_are_those_of_a_simulation(state):
    from isthmus_simulations.plan import TrainingPlan  # noqa: PLC0415 - torch

    roster(state)
    contract = draft(state, request(privacy="none", secure_aggregation=False)).contract
    config, plain = server_config(contract), TrainingPlan(seed=7).server("run-1", 3)
    assert config.identity() == plain.identity()
    assert (config.rounds, config.patience) == (plain.rounds, plain.patience)
    assert config.minimum_platforms == plain.minimum_platforms
    assert dict(contract.tensors) == tensor_shapes(TrainingPlan(seed=7).encoder)


def test_a_pool_is_planned_as_a_simulation_plans_it(state):
    from isthmus.privacy.schedule import PrivatePlan, schedule_for  # noqa: PLC0415

    roster(state)
    found = draft(state, request(**POOLED, clipping_quantile=0.4))
    contract = found.contract
    private = PrivatePlan("pooled", 8.0, rounds=4, batch=3000, clipping_quantile=0.4)
    schedule = schedule_for(private, dict.fromkeys(SHOPS, 40_000), contract.size)
    assert found.privacy.schedule == schedule
    assert contract.plan == schedule.round(contract.plan)
    assert (contract.minimum, contract.secure, contract.paid_rounds) == (3, True, 6)
    assert 7 < require_claim(contract) <= 8
    config = server_config(contract)
    assert config.aggregation == NoisedSum(
        1.0, schedule.noise_multiplier, 3, 3, schedule.expected_users
    )
    assert isinstance(config.optimiser, FedAdam)
    assert FederationContract.from_bytes(contract.to_bytes()) == contract


def test_a_secure_run_names_its_members_and_their_keys(state):
    roster(state)
    contract = draft(state, request(**PLAIN, threshold=3)).contract
    cohort = server_config(contract).secure
    assert cohort.contract.hex() == contract.sha256
    keys = {name: key_of(name).public_key().public_bytes_raw() for name in SHOPS}
    assert dict(cohort.identities) == keys
    assert (cohort.threshold, cohort.minimum, cohort.metrics) == (3, 3, contract.metrics)
    assert (
        server_config(draft(state, request(**PLAIN, secure_aggregation=False)).contract).secure
        is None
    )


def test_settings_reach_the_rounds(state):
    roster(state)
    given = {"learning_rate": 1e-3, "negatives": 32, "max_steps": 3, "server_optimiser": "fedavgm"}
    more = {"server_learning_rate": 0.5, "weights": "equal", "minimum": 3, "deadline": 45.0}
    contract = draft(state, request(**PLAIN, **given, **more, secure_aggregation=False)).contract
    config = server_config(contract)
    assert config.optimiser == FedAvgM(learning_rate=0.5)
    assert config.plan.learning_rate == 1e-3
    assert config.plan_for(3).negatives == 32
    assert (config.minimum_platforms, config.deadline_s) == (3, 45.0)
    assert config.aggregation.settings() == {"name": "mean", "weights": "equal"}
    contract.require_plan(config.plan_for(3))


def test_every_member_that_may_not_is_named(state):
    roster(state)
    join(state, "drill", approve=False)
    state.platforms.set_status("crucible", "revoked", "left")
    with pytest.raises(NotApprovedError) as refused:
        draft(state, request(**PLAIN, members=["anvil", "crucible", "drill", "edge"]))
    for words in ("crucible is revoked", "drill is pending", "edge is unknown"):
        assert words in str(refused.value)
    assert state.runs.list() == ()


@pytest.mark.parametrize(
    ("names", "secure", "words"),
    [
        (SHOPS[:2], True, "2 platforms (anvil, bellows), a run needs 3"),
        (SHOPS[:1], False, "1 platforms (anvil), a run needs 2"),
        ((), True, "0 platforms (none), a run needs 3"),
    ],
)
def test_too_few_members_are_refused(state, names, secure, words):
    roster(state, names)
    with pytest.raises(ScenarioError) as refused:
        draft(state, request(**PLAIN, secure_aggregation=secure))
    assert words in str(refused.value)
    assert "invite" in refused.value.hint


def test_noise_that_drowns_everything_is_refused_with_what_would_do(state):
    roster(state, users=800)
    with pytest.raises(BudgetError, match="times as long as the longest gradient") as refused:
        draft(state, request(privacy="pooled", rounds=20, epsilon=0.8))
    assert "--accept-noise" in refused.value.hint
    accepted = request(privacy="pooled", rounds=20, epsilon=0.8, accept_noise=True)
    assert draft(state, accepted).privacy.noise_norm > 2


def test_local_noise_that_would_do_pooled_says_so(state):
    roster(state, users=800)
    with pytest.raises(BudgetError) as refused:
        draft(state, request(privacy="local", rounds=20, epsilon=1.8))
    assert "--privacy pooled" in refused.value.hint


def test_a_private_run_needs_published_users(state):
    roster(state, users=None)
    with pytest.raises(ScenarioError, match="anvil, bellows, crucible have is not known") as told:
        draft(state, request(**POOLED))
    assert "--users anvil=N,bellows=N,crucible=N" in told.value.hint
    beat(state, "anvil", {"users": 51_234})
    agreed = {"bellows": 30_000, "crucible": 45_000}
    members = draft(state, request(**POOLED, users=agreed)).contract.members
    counts = {name: member.users for name, member in members.items()}
    assert counts == {"anvil": 51_000, **agreed}


@pytest.mark.parametrize("told", ["many", -3, True, 3.5, None])
def test_a_strange_number_of_users_is_no_number(state, told):
    roster(state, users=None)
    beat(state, "anvil", {"users": told})
    assert draft(state, request(**PLAIN)).contract.members["anvil"].users == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"users": {"drill": 5}}, "--users names drill"),
        ({"secure_aggregation": True, "aggregation": "median"}, "must see each platform's updates"),
        ({"minimum": 7, "secure_aggregation": False}, "minimum is 7"),
        ({"release": "spring-r00003"}, "there is no release 'spring-r00003'"),
        ({"encoder": {"dim": 5, "heads": 2}}, "encoder.heads 2 do not divide dim 5"),
    ],
)
def test_settings_that_do_not_fit_are_named(state, given, words):
    roster(state)
    with pytest.raises(ScenarioError, match=words):
        draft(state, request(**{**PLAIN, **given}))


def test_a_run_goes_on_from_a_release(state):
    roster(state)
    propose(state, request(**PLAIN, run="spring"), SERVER)
    told = {"run": "spring", "round": 3, "sha256": "d" * 64, "path": "x", "signature": b"s"}
    state.releases.add("spring-r00003", **told)
    contract = draft(state, request(**PLAIN, release="spring-r00003")).contract
    assert (contract.initial, contract.release_of) == ("d" * 64, "spring")
    state.releases.withdraw("spring-r00003", "wrong data")
    with pytest.raises(ScenarioError, match="withdrawn is the release"):
        draft(state, request(**PLAIN, release="spring-r00003"))


def test_an_encoder_that_nobody_named_has_narrow_adapters_where_there_is_noise(state):
    roster(state)
    plain, private = (
        draft(state, request(privacy=privacy)).contract.encoder for privacy in ("none", "pooled")
    )
    assert plain == default_encoder(private=False)
    assert private == default_encoder(private=True)
    assert (plain.read, private.read) == (384, 64)


def test_a_private_run_keeps_the_shapes_of_the_release_that_it_goes_on_from(state):
    roster(state)
    shapes = propose(state, request(**PLAIN, run="spring"), SERVER).contract.encoder
    told = {"run": "spring", "round": 3, "sha256": "d" * 64, "path": "x", "signature": b"s"}
    state.releases.add("spring-r00003", **told)
    given = {name: value for name, value in POOLED.items() if name != "encoder"}
    assert draft(state, request(**given, release="spring-r00003")).contract.encoder == shapes


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"epsilonn": 3}, "epsilonn is no setting of a run"),
        ({"encoder": {"width": 3}}, "encoder.width is no setting of a run"),
        ({"rounds": 0}, "rounds: input should be greater"),
        ({"privacy": "much"}, "privacy: "),
    ],
)
def test_a_wrong_setting_is_named(given, words):
    with pytest.raises(ScenarioError, match=words):
        request_from(given, "run.toml")


def test_a_file_has_the_same_names(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('privacy = "none"\nrounds = 9\n[encoder]\ndim = 32\n[users]\nanvil = 1200\n')
    found = request_from(read_request(path), str(path))
    assert (found.rounds, found.encoder.dim, found.users) == (9, 32, {"anvil": 1200})
    with pytest.raises(DataMissingError):
        read_request(tmp_path / "none.toml")
    path.write_text("= 3")
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_request(path)
