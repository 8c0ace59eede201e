"""What the server does for a run, and nothing that its contract does not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from isthmus.errors import ScenarioError
from isthmus.federation_contract import FederationContract, Plain
from isthmus_server.aggregate import Aggregation
from isthmus_server.config import SecureCohort, ServerConfig
from isthmus_server.noised_sum import NoisedSum
from isthmus_server.optimisers import ServerOptimiser, server_optimiser
from isthmus_server.robust import aggregation


def server_config(contract: FederationContract, *, join_deadline_s: float = 60.0) -> ServerConfig:
    """The server's configuration of the contract's run.

    Args:
        contract: as signed.
        join_deadline_s: seconds to wait for the minimum of platforms to be online.

    Guarantees:
        What every round asks of a platform is the contract's template: the same function of the
        contract as `FederationContract.require_plan` holds platforms' approval to.

    Raises:
        ScenarioError: the optimiser, the rule or a knob of theirs does not exist, or the rule looks
            at single updates in a run where the server sees sums only.
    """
    return ServerConfig(
        run_id=contract.run,
        rounds=contract.rounds,
        seed=contract.seed,
        plan=contract.plan,
        optimiser=_optimiser(contract),
        aggregation=_rule(contract),
        minimum_platforms=contract.minimum,
        deadline_s=contract.deadline_s,
        join_deadline_s=join_deadline_s,
        patience=contract.patience,
        score=contract.score,
        secure=_cohort(contract),
    )


def expected_users(contract: FederationContract) -> float:
    """Users behind a private round's sum over all members: the published constant."""
    return contract.plan.sampling_rate * sum(each.users for each in contract.members.values())


def _optimiser(contract: FederationContract) -> ServerOptimiser:
    """How the parameters move."""
    name, knobs = _named(contract.optimiser)
    return server_optimiser(name, **knobs)


def _rule(contract: FederationContract) -> Aggregation:
    """How updates become one; a pool's rule follows from its plan."""
    if contract.trust == "pooled":
        plan = contract.plan
        return NoisedSum(
            clipping_norm=plan.clipping_norm,
            noise_multiplier=plan.noise_multiplier,
            shares=plan.shares,
            platforms=len(contract.members),
            expected_users=expected_users(contract),
        )
    name, knobs = _named(contract.aggregation)
    return aggregation(name, **knobs)


def _cohort(contract: FederationContract) -> SecureCohort | None:
    """Who is in the sums, where the server sees sums only."""
    if not contract.secure:
        return None
    members = contract.members.items()
    return SecureCohort(
        contract=bytes.fromhex(contract.sha256),
        identities={name: bytes.fromhex(member.signing) for name, member in members},
        threshold=contract.threshold,
        minimum=contract.minimum,
        colluders=contract.colluders,
        metrics=contract.metrics,
    )


def _named(settings: Mapping[str, Plain]) -> tuple[str, dict[str, Any]]:
    """A name, and knobs."""
    knobs = dict(settings)
    if not isinstance(name := knobs.pop("name", None), str):
        raise ScenarioError(f"settings {sorted(settings)} have no name")
    return name, knobs
