"""One way of training each, by the very functions of `isthmus simulate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from isthmus.border import split
from isthmus.errors import MessageRefusedError, ScenarioError
from isthmus.parameters import Shared
from isthmus_client.computing import stopwatch
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.local_training import train_alone
from isthmus_client.workspace import Workspace
from isthmus_simulations.federation import federate
from isthmus_simulations.job import Job
from isthmus_simulations.price.cells import Way
from isthmus_simulations.price.noiseless import train_without_noise
from isthmus_simulations.privacy_claim import privacy_of
from isthmus_simulations.private_federation import schedule_of
from isthmus_simulations.results import Privacy


@dataclass(frozen=True)
class Trained:
    """What a way of training ended with.

    Attributes:
        encoder: of every platform that took part.
        rounds: of the federation, or passes alone.
        bytes: both ways, all platforms and rounds.
        seconds: process time.
        privacy: what may be claimed; None without privacy.
    """

    encoder: Shared
    rounds: int = 0
    bytes: int = 0
    seconds: float = 0.0
    privacy: Privacy | None = None


def train(way: Way, job: Job, workspaces: Sequence[Workspace]) -> Trained:
    """Train on these platforms in one way.

    Raises:
        FederationError: a round could not be finished.
        BudgetError: a ledger refuses a round.
    """
    spent = stopwatch()
    found = _HOW[way](job, workspaces)
    return replace(found, seconds=spent())


def impossible(job: Job, workspaces: Sequence[Workspace]) -> str | None:
    """Why no private schedule exists for these platforms; None where one does, or none is asked."""
    if job.plan.private is None:
        return None
    try:
        schedule_of(job.plan.private, workspaces, _initial(job))
    except (ScenarioError, MessageRefusedError) as reason:
        return str(reason)
    return None


def _initial(job: Job) -> Shared:
    return initial_parameters(job.plan.encoder, job.plan.seed)


def _prior(job: Job, workspaces: Sequence[Workspace]) -> Trained:  # noqa: ARG001 - as all others
    return Trained(_initial(job))


def _alone(job: Job, workspaces: Sequence[Workspace]) -> Trained:
    (workspace,) = workspaces
    with job.progress.track("training alone, passes", job.plan.passes) as advance:
        run = train_alone(
            workspace,
            job.plan.encoder,
            job.plan.settings,
            epochs=job.plan.passes,
            patience=job.plan.patience,
            seed=job.plan.seed,
            advance=advance,
        )
    return Trained(split(run.encoder)[0], rounds=len(run.curve) - 1)


def _noiseless(job: Job, workspaces: Sequence[Workspace]) -> Trained:
    encoder = train_without_noise(job, workspaces)
    assert job.plan.private is not None
    return Trained(encoder, rounds=job.plan.private.rounds)


def _federated(job: Job, workspaces: Sequence[Workspace]) -> Trained:
    run = federate(job, workspaces)
    private = job.plan.private is not None
    return Trained(
        run.best,
        rounds=max((record.round for record in run.rounds), default=0),
        bytes=sum(record.bytes_total() for record in run.rounds),
        privacy=privacy_of(job, workspaces, run) if private else None,
    )


_HOW: dict[Way, Callable[[Job, Sequence[Workspace]], Trained]] = {
    "prior": _prior,
    "alone": _alone,
    "federated": _federated,
    "noiseless": _noiseless,
    "pooled": _federated,
    "local": _federated,
    "private_alone": _federated,
}
