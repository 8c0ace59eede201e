"""A private federation: every platform with a ledger, a budget and noise of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from isthmus.encoder import initial_encoder
from isthmus.errors import ScenarioError
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus.privacy.adaptive import WITHIN
from isthmus.privacy.schedule import SPARE, PrivatePlan, Schedule, published, schedule_for
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.ledger import Key
from isthmus_client.noise import Steps
from isthmus_client.outbox import Outbox
from isthmus_client.worker.trainers import Account, Member, private_member
from isthmus_client.workspace import Workspace
from isthmus_server.aggregate import Mean
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import ServerConfig
from isthmus_server.history import RunResult
from isthmus_server.noised_sum import NoisedSum
from isthmus_server.optimisers import FedAdam
from isthmus_simulations.audit.records import Claim, claim_path
from isthmus_simulations.audit.verdict import audit_run
from isthmus_simulations.audit.watching import Auditor
from isthmus_simulations.engines.runner import run_federation
from isthmus_simulations.job import Job
from isthmus_simulations.secure_federation import SimulatedCohort

LEDGERS = "ledgers"


def schedule_of(plan: PrivatePlan, workspaces: Sequence[Workspace], initial: Shared) -> Schedule:
    """The schedule of a run over these platforms."""
    users = {w.platform.name: published(w.sequences.training_users.size) for w in workspaces}
    return schedule_for(plan, users, initial.size)


def federate_privately(job: Job, workspaces: Sequence[Workspace]) -> RunResult:
    """Run, or resume, the private rounds of the workspaces' platforms.

    Guarantees:
        All that the server sees of a platform is its noised sums and its published number of
        users; what each user is charged stands in the platform's ledger, `OUT/ledgers/NAME.sqlite`.

    Raises:
        ScenarioError: the plan cannot be kept by these platforms.
        BudgetError: a ledger refuses a round.
        AuditError: canaries disprove the claim; nothing may be released.
    """
    options, plan = job.options, job.plan
    assert plan.private is not None
    if options.engine != "memory":
        raise ScenarioError(
            f"--engine {options.engine}: a private run's ledgers live in one process",
            hint="leave --engine out",
        )
    initial = initial_parameters(plan.encoder, plan.seed)
    schedule = schedule_of(plan.private, workspaces, initial)
    cohort = SimulatedCohort.of(job, server_config(job, schedule), schedule.users)
    config = cohort.config
    auditor = _auditor(job, schedule, initial)
    store = CheckpointStore(options.out / "rounds")
    with ExitStack() as ledgers:
        members = [member_of(job, each, schedule, auditor) for each in workspaces]
        for member in members:
            ledgers.callback(member.charge.ledger.close)
            member.charge.register(config.plan_for(1), plan.private.rounds + SPARE)
        outboxes: Mapping[str, Outbox] = {m.trainer.platform: m.outbox() for m in members}
        told = job.progress.track("private federation, rounds", plan.private.rounds)
        advance = ledgers.enter_context(told)
        result = run_federation(
            options.engine,
            server_config=config,
            seats=cohort.seats,
            initial=initial,
            store=store,
            outboxes=outboxes.__getitem__,
            trainers=[member.trainer for member in members],
            on_round=lambda _: advance(1),
            workers=job.workers,
            resume=not store.is_empty(),
        )
    if auditor is not None:
        audit_run(options.out).require_consistent()
    return result


def _auditor(job: Job, schedule: Schedule, initial: Shared) -> Auditor | None:
    """Who plants canaries and watches them; None where none are asked for."""
    if not job.options.planted:
        return None
    claim = Claim(
        epsilon=schedule.plan.epsilon,
        delta=schedule.delta,
        mode=schedule.plan.trust,
        platforms=tuple(schedule.users),
        sampling_rate=schedule.sampling_rate,
        noise_multiplier=schedule.noise_multiplier,
        rounds=schedule.plan.rounds,
    )
    claim.save(claim_path(job.options.out))
    names = [name for name, _ in initial_encoder(job.plan.encoder, 0).named_parameters()]
    count = job.options.canaries or min(job.options.planted, initial.size // len(claim.platforms))
    return Auditor(job.options.out, claim.platforms, count, names, initial.size)


def member_of(
    job: Job, workspace: Workspace, schedule: Schedule, auditor: Auditor | None = None
) -> Member:
    """One platform's side, with its ledger opened.

    Raises:
        LedgerError: the ledger was altered, or is older than a receipt says.
    """
    name, out = workspace.platform.name, job.options.out
    account = Account(
        ledger=out / LEDGERS / f"{name}.sqlite",
        epsilon=schedule.plan.epsilon,
        delta=schedule.delta,
        key=Key(key_of(job, name)),
        sent=out / "sent" / name,
        receipts=out / "outbox" / f"{name}.jsonl",
    )
    users, shares = schedule.users[name], schedule.shares
    member = private_member(workspace, job.plan.encoder, account, users=users, shares=shares)
    if auditor is None:
        return member
    return replace(
        member,
        trainer=replace(member.trainer, canaries=auditor.canaries(name)),
        noise=replace(member.noise, watch=_gradient_alone(auditor.eye(name))),
    )


def _gradient_alone(eye: Callable[[RoundPlan, Steps], None]) -> Callable[[RoundPlan, Steps], None]:
    """An eye on the gradient: canaries show nowhere else."""

    def see(plan: RoundPlan, steps: Steps) -> None:
        eye(plan, {name: values for name, values in steps.items() if name != WITHIN})

    return see


def key_of(job: Job, platform: str) -> str:
    """Under which a ledger knows the data set of a simulated platform."""
    return f"{job.options.scenario}/{platform}"


def server_config(job: Job, schedule: Schedule) -> ServerConfig:
    """What the server is told: published constants alone."""
    private = schedule.plan
    rule = (
        NoisedSum(
            clipping_norm=private.clipping_norm,
            noise_multiplier=schedule.noise_multiplier,
            shares=schedule.shares,
            platforms=len(schedule.users),
            expected_users=schedule.expected_users,
        )
        if private.trust == "pooled"
        else Mean()
    )
    plain = job.plan.server(job.options.out.name, len(schedule.users))
    round_plan: RoundPlan = schedule.round(job.plan.round)
    return replace(
        plain,
        rounds=private.rounds,
        plan=round_plan,
        optimiser=FedAdam(learning_rate=private.learning_rate, tau=1e-4),
        aggregation=rule,
        minimum_platforms=len(schedule.users) if private.trust == "pooled" else 1,
        patience=0,
    )
