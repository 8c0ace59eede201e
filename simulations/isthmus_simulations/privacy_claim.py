"""What a run may claim about its users' privacy: the schedule, the ledgers, the attack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from isthmus.postprocessors import NoPrivacy
from isthmus.privacy.accounting import epsilon as epsilon_of
from isthmus.privacy.events import Event
from isthmus.privacy.overlap import left_noise, local_epsilon, pooled_epsilon
from isthmus.privacy.planner import USEFUL
from isthmus.privacy.schedule import Schedule
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.ledger import Key, Ledger
from isthmus_client.workspace import Workspace
from isthmus_server.history import RunResult
from isthmus_simulations.audit.verdict import audit_run
from isthmus_simulations.job import Job
from isthmus_simulations.private_federation import LEDGERS, key_of, schedule_of
from isthmus_simulations.results import Privacy, PrivateRun

_STATEMENTS: dict[Literal["local", "pooled"], str] = {
    "local": (
        "User-level differential privacy against everybody outside a user's platform: each "
        "platform clips every user's gradient and adds the whole noise before anything leaves"
    ),
    "pooled": (
        "User-level differential privacy of the sums over platforms: each platform clips every "
        "user's gradient and adds a share of the noise. In this simulation the sums are taken in "
        "the clear: who sees a single platform's share sees more"
    ),
}


def privacy_of(job: Job, workspaces: Sequence[Workspace], run: RunResult) -> Privacy:
    """What may be claimed, and everything that it rests on."""
    if job.plan.private is None:
        return _nothing(len(workspaces))
    initial = initial_parameters(job.plan.encoder, job.plan.seed)
    schedule = schedule_of(job.plan.private, workspaces, initial)
    rounds = len([record for record in run.rounds if record.round > 0])
    found = _private_run(job, schedule, rounds, initial.size)
    if schedule.plan.clipping_quantile:
        found = found.model_copy(update={"last_clipping_norm": run.clipping_norm})
    many = len(workspaces)
    return Privacy(
        mechanism="gaussian",
        statement=_STATEMENTS[schedule.plan.trust],
        epsilon=max(found.spent.values()),
        delta=schedule.delta,
        note=(
            "The unit is a user's whole history on one platform. For a person who is a user of "
            f"{many} platforms epsilon is {found.overlap[many]:.3g}. Only the shared encoder is "
            "private: what a platform fits at home afterwards is for that platform alone."
        ),
        run=found,
    )


def drowned(privacy: Privacy) -> tuple[str, ...]:
    """A warning where the noise leaves little to learn from; none otherwise."""
    run = privacy.run
    if run is None or run.noise_norm <= USEFUL:
        return ()
    words = (
        f"the noise in a round's mean gradient is {run.noise_norm:.3g} clipping norms long, and "
        f"training is useful up to about {USEFUL:g}: a larger epsilon, more users, fewer rounds, "
        "or the trust mode pooled; `isthmus client privacy plan` says how much of each"
    )
    return (words,)


def _nothing(platforms: int) -> Privacy:
    return Privacy(
        mechanism="none",
        statement=NoPrivacy().statement,
        note=(
            f"Without a mechanism there is no guarantee for anybody; a person who is a user of all "
            f"{platforms} platforms has taken part {platforms} times."
        ),
    )


def _private_run(job: Job, schedule: Schedule, rounds: int, parameters: int) -> PrivateRun:
    plan = schedule.plan
    event = Event(schedule.noise_multiplier, schedule.sampling_rate, max(rounds, 1))
    audit = audit_run(job.options.out) if job.options.planted else None
    norm = schedule.noise_multiplier * math.sqrt(parameters) / schedule.expected_users
    return PrivateRun(
        trust=plan.trust,
        target_epsilon=plan.epsilon,
        noise_multiplier=schedule.noise_multiplier,
        noise_norm=norm * (1.0 if plan.trust == "pooled" else math.sqrt(len(schedule.users))),
        sampling_rate=schedule.sampling_rate,
        clipping_norm=plan.clipping_norm,
        clipping_quantile=plan.clipping_quantile,
        rounds=rounds,
        users=dict(schedule.users),
        spent={name: _spent(job, name) for name in schedule.users},
        colluders=plan.colluders,
        overlap=_overlap(schedule, event),
        collusion=_collusion(schedule, event) if plan.trust == "pooled" else {},
        audit={bound.platform: bound.epsilon for bound in audit.bounds} if audit else {},
        audit_confidence=audit.confidence if audit else None,
    )


def _spent(job: Job, platform: str) -> float:
    """Epsilon that a platform's ledger has charged to its users."""
    path = job.options.out / LEDGERS / f"{platform}.sqlite"
    with Ledger(path, read_only=True) as ledger:
        return ledger.spent(Key(key_of(job, platform)))


def _overlap(schedule: Schedule, event: Event) -> dict[int, float]:
    """Epsilon of a person on so many of the platforms."""
    counts = range(1, len(schedule.users) + 1)
    if schedule.plan.trust == "pooled":
        return {many: pooled_epsilon(event, schedule.delta, many) for many in counts}
    return {many: local_epsilon([event], schedule.delta, many) for many in counts}


def _collusion(schedule: Schedule, event: Event) -> dict[int, float]:
    """Epsilon if so many platforms work together with the server against another."""
    cohort, planned = len(schedule.users), schedule.plan.colluders
    found = {}
    for colluding in range(cohort):
        left = left_noise(event.noise_multiplier, cohort, planned, colluding)
        weaker = Event(left, event.sampling_rate, event.count)
        found[colluding] = epsilon_of([weaker], schedule.delta)
    return found
