"""From a request to a signed contract that the platforms are asked to approve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.encoder_config import EncoderConfig, default_encoder, tensor_shapes
from isthmus.errors import MessageRefusedError, NotApprovedError, ScenarioError
from isthmus.federation_contract import FederationContract, contract_from
from isthmus.federation_contract_rules import LEAST_SECURE
from isthmus.federation_contract_signing import sign_contract
from isthmus.messages import RoundPlan
from isthmus.privacy.schedule import SPARE, published
from isthmus_server.from_contract import server_config
from isthmus_server.optimisers import FedAdam, server_optimiser
from isthmus_server.robust import aggregation
from isthmus_server.run_privacy import PlannedPrivacy, planned_privacy
from isthmus_server.run_request import RunRequest
from isthmus_server.state import PlatformRow, State

METRICS: Final = (
    "loss",
    "seconds",
    "steps",
    "validation/hr@10",
    "validation/mrr",
    "validation/ndcg@10",
    "validation/users",
)
"""What a platform may report in a run without privacy."""

USERS_FACT: Final = "users"
"""Under which a platform tells its published number of training users."""

_ROUNDS: Final = 12
_PATIENCE: Final = 4  # rounds
_LEARNING_RATE: Final = 5e-4  # of the platforms' AdamW


@dataclass(frozen=True)
class Proposal:
    """A contract, and what its privacy comes to; None without."""

    contract: FederationContract
    privacy: PlannedPrivacy | None


def propose(state: State, request: RunRequest, key: Ed25519PrivateKey) -> Proposal:
    """Make the contract, sign it, and put it where the coordinator and platforms find it.

    Args:
        state: the server's.
        request: what the operator asks for.
        key: the server's identity.

    Raises:
        ScenarioError, NotApprovedError, BudgetError: as `draft`; nothing was proposed.
        StateError: another contract has this id.
    """
    found = draft(state, request)
    contract = found.contract
    state.runs.propose(
        contract.run,
        contract=contract.to_bytes(),
        contract_sha256=contract.sha256,
        signature=sign_contract(contract, key),
        reason=f"waits for approval by: {', '.join(sorted(contract.members))}",
    )
    text = f"run {contract.run} is proposed, contract {contract.sha256[:16]}"
    state.events.add("info", "run-proposed", text, run=contract.run)
    return found


def draft(state: State, request: RunRequest) -> Proposal:
    """The contract that a request comes to; nothing is written.

    Raises:
        NotApprovedError: a member is unknown or not approved.
        ScenarioError: too few members, or settings that do not fit together.
        BudgetError: the privacy that is asked for leaves nothing to learn from.
    """
    rows = _members(state, request)
    users = _users(rows, request)
    encoder = _encoder(state, request)
    private = None if request.privacy == "none" else planned_privacy(request, users, _size(encoder))
    try:
        values = _values(state, request, rows, users, private)
        contract = contract_from(values | {"encoder": encoder})
        server_config(contract)
    except MessageRefusedError as error:
        raise ScenarioError(str(error), hint=error.hint) from error
    return Proposal(contract, private)


def _members(state: State, request: RunRequest) -> tuple[PlatformRow, ...]:
    """The platforms that take part; all that are approved where none are named."""
    known = {row.name: row for row in state.platforms.list()}
    wanted = sorted(set(request.members)) or [r.name for r in known.values() if _approved(r)]
    wrong = [_told(name, known.get(name)) for name in wanted if not _approved(known.get(name))]
    if wrong:
        raise NotApprovedError(
            f"{'; '.join(wrong)}; nothing was proposed",
            hint="isthmus server list shows all platforms; isthmus server approve NAME",
        )
    least = LEAST_SECURE if request.secure_aggregation else 2
    if len(wanted) < least:
        raise ScenarioError(
            f"{len(wanted)} platforms ({', '.join(wanted) or 'none'}), a run needs {least}; "
            "nothing was proposed",
            hint=_too_few(len(wanted)),
        )
    return tuple(known[name] for name in wanted)


def _approved(row: PlatformRow | None) -> bool:
    return row is not None and row.status == "approved"


def _told(name: str, row: PlatformRow | None) -> str:
    return f"{name} is unknown" if row is None else f"{name} is {row.status}, not approved"


def _too_few(found: int) -> str:
    more = "invite and approve more: isthmus server invite NAME"
    if found < 2:  # noqa: PLR2004 - a federation of one is none
        return more
    return f"{more}; of a sum of two each could subtract its own part: --no-secure-aggregation"


def _users(rows: tuple[PlatformRow, ...], request: RunRequest) -> dict[str, int]:
    """Published users of each member.

    Raises:
        ScenarioError: an option names no member, or a private run's member told no number.
    """
    names = {row.name for row in rows}
    if odd := sorted(request.users.keys() - names):
        raise ScenarioError(f"--users names {', '.join(odd)}, which take no part in the run")
    found = {row.name: request.users.get(row.name, _fact(row)) for row in rows}
    unknown = sorted(name for name, count in found.items() if count is None)
    if unknown and request.privacy != "none":
        raise ScenarioError(
            f"how many training users {', '.join(unknown)} have is not known, and a private run's "
            "rates rest on it",
            hint=f"agree on a number: --users {','.join(f'{name}=N' for name in unknown)}",
        )
    return {name: count or 0 for name, count in found.items()}


def _fact(row: PlatformRow) -> int | None:
    """What the platform told of its users, as it is published."""
    told = row.facts.get(USERS_FACT)
    return published(told) if type(told) is int and told > 0 else None


def _encoder(state: State, request: RunRequest) -> EncoderConfig:
    """Shapes: as asked for, else those of the release to go on from, else the defaults."""
    if request.encoder is not None:
        return request.encoder
    release = state.releases.get(request.release) if request.release else None
    run = state.runs.get(release.run) if release is not None else None
    if run is not None:
        return FederationContract.from_bytes(run.contract).encoder
    return default_encoder(private=request.privacy != "none")


def _size(encoder: EncoderConfig) -> int:
    return sum(math.prod(shape) for shape in tensor_shapes(encoder).values())


def _values(
    state: State,
    request: RunRequest,
    rows: tuple[PlatformRow, ...],
    users: Mapping[str, int],
    private: PlannedPrivacy | None,
) -> dict[str, Any]:
    """The contract's fields."""
    run = request.run or _next_run(state)
    plan = _plan(request, run)
    values: dict[str, Any] = {
        "run": run,
        "name": request.name or run,
        "text_encoder": request.text_encoder,
        "seed": request.seed,
        "rounds": request.rounds or _ROUNDS,
        "plan": plan,
        "optimiser": _optimiser(request),
        "aggregation": _aggregation(request),
        "members": {row.name: _member(row, users[row.name]) for row in rows},
        "secure": request.secure_aggregation,
        "threshold": request.threshold,
        "minimum": _minimum(request, len(rows)),
        "colluders": request.colluders,
        "metrics": METRICS,
        "deadline_s": request.deadline,
        "patience": _patience(request),
        **_start(state, request),
    }
    return values if private is None else values | _private(private, plan)


def _private(private: PlannedPrivacy, plan: RoundPlan) -> dict[str, Any]:
    """What differential privacy makes other."""
    schedule, asked = private.schedule, private.schedule.plan
    optimiser = FedAdam(learning_rate=asked.learning_rate, tau=1e-4)
    return {
        "plan": schedule.round(plan),
        "rounds": asked.rounds,
        "paid_rounds": asked.rounds + SPARE,
        "trust": asked.trust,
        "epsilon": asked.epsilon,
        "delta": schedule.delta,
        "metrics": (),
        "patience": 0,
        "optimiser": optimiser.settings(),
    }


def _member(row: PlatformRow, users: int) -> dict[str, Any]:
    return {"signing": row.signing.hex(), "users": users, "node": row.node_key.decode()}


def _plan(request: RunRequest, run: str) -> RoundPlan:
    rate = request.learning_rate if request.privacy == "none" else None
    return RoundPlan(
        run,
        0,
        request.seed,
        local_epochs=request.local_epochs,
        max_steps=request.max_steps,
        batch_size=request.batch_size,
        learning_rate=rate or _LEARNING_RATE,
        weight_decay=request.weight_decay,
        negatives=request.negatives,
        proximal=request.proximal,
        validate=request.validate_rounds,
    )


def _optimiser(request: RunRequest) -> dict[str, str | float]:
    rate = request.server_learning_rate
    knobs = {} if rate is None else {"learning_rate": rate}
    return server_optimiser(request.server_optimiser, **knobs).settings()


def _aggregation(request: RunRequest) -> dict[str, str | float]:
    if request.privacy == "pooled":
        return {"name": "noised_sum"}
    knobs = {"weights": request.weights} if request.weights else {}
    return aggregation(request.aggregation, **knobs).settings()


def _minimum(request: RunRequest, members: int) -> int:
    """Platforms without which a round is not finished."""
    if request.minimum is not None:
        return request.minimum
    if request.privacy == "pooled":
        return members
    if request.secure_aggregation:
        return max(LEAST_SECURE, request.threshold or -(-2 * members // 3))
    return 2


def _patience(request: RunRequest) -> int:
    if request.patience is not None:
        return request.patience
    return _PATIENCE if request.validate_rounds else 0


def _start(state: State, request: RunRequest) -> dict[str, str]:
    """From a seed, or from a release that was not withdrawn."""
    if not request.release:
        return {}
    row = state.releases.get(request.release)
    if row is None or row.withdrawn is not None:
        what = "there is no release" if row is None else "withdrawn is the release"
        raise ScenarioError(
            f"{what} {request.release!r}", hint="list them: isthmus server release list"
        )
    return {"initial": row.sha256, "release_of": row.run}


def _next_run(state: State) -> str:
    """The first of run-1, run-2, ... that is free."""
    taken = {row.id for row in state.runs.list()}
    number = 1
    while f"run-{number}" in taken:
        number += 1
    return f"run-{number}"
