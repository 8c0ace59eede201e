"""Training outside the federation: each platform alone, and everybody's data in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from isthmus.border import split
from isthmus.progress import Advance
from isthmus_client.computing import stopwatch
from isthmus_client.contender import Contender
from isthmus_client.local_training import train_alone
from isthmus_client.sasrec import SasRecSettings, fit_sasrec
from isthmus_client.workspace import Workspace
from isthmus_simulations.job import Job
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.pooled import train_pooled
from isthmus_simulations.stages import Trained

POOLED = "pooled"


def train_without_federation(
    job: Job, workspaces: Sequence[Workspace]
) -> tuple[dict[str, Trained], Trained]:
    """The same model on each platform's own users, and one on all raw histories in one place.

    Each gets the federation's budget of passes. The second is the upper bound that no platform may
    compute; as the longest of these independent trainings it starts first.

    Returns:
        What each platform trained alone, by name, and the pooled training.
    """
    total = job.plan.passes * (len(workspaces) + 1)
    with job.progress.track("training alone and pooled, passes", total) as advance:

        def pooled() -> Trained:
            return train_pooled(workspaces, job.plan, advance)

        stages: dict[str, Callable[[], Trained]] = {POOLED: pooled}
        for workspace in workspaces:
            name = f"alone-{workspace.platform.name}"
            stages[name] = partial(_alone, workspace, job.plan, advance)
        made = job.parallel(lambda name: job.stages.once(name, stages[name]), list(stages))
    trained = dict(zip(stages, made, strict=True))
    together = trained.pop(POOLED)
    return {w.platform.name: t for w, t in zip(workspaces, trained.values(), strict=True)}, together


def _alone(workspace: Workspace, plan: TrainingPlan, advance: Advance) -> Trained:
    spent = stopwatch()
    run = train_alone(
        workspace,
        plan.encoder,
        plan.settings,
        epochs=plan.passes,
        patience=plan.patience,
        seed=plan.seed,
        advance=advance,
    )
    curves = {workspace.platform.name: run.curve}
    best, seconds = run.curve[run.best].step, spent()
    return Trained(split(run.encoder)[0], curves, best, seconds)


def own_sequence_models(job: Job, workspaces: Sequence[Workspace]) -> dict[str, Contender]:
    """A SASRec on each platform's own item numbers, by the platform's name; it never leaves."""
    with job.progress.track("own sequence models", len(workspaces)) as advance:

        def one(workspace: Workspace) -> Contender:
            fitted = fit_sasrec(workspace, SasRecSettings(), seed=job.plan.seed)
            advance(1)
            return fitted

        made = job.parallel(one, workspaces)
    return {w.platform.name: each for w, each in zip(workspaces, made, strict=True)}
