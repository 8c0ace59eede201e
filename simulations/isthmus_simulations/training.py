"""Training outside the federation: each platform alone, and everybody's data in one place."""

from __future__ import annotations

import time
from collections.abc import Sequence

from isthmus.border import split
from isthmus.progress import Advance
from isthmus_client.local_training import train_alone
from isthmus_client.workspace import Workspace
from isthmus_simulations.job import Job
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.pooled import train_pooled
from isthmus_simulations.stages import Trained


def train_everyone_alone(job: Job, workspaces: Sequence[Workspace]) -> dict[str, Trained]:
    """The same model on each platform's own users, with the federation's budget of passes."""
    total = job.plan.passes * len(workspaces)
    with job.progress.track("training alone, passes", total) as advance:

        def one(workspace: Workspace) -> Trained:
            name = workspace.platform.name
            return job.stages.once(f"alone-{name}", lambda: _alone(workspace, job.plan, advance))

        trained = job.parallel(one, workspaces)
    return {w.platform.name: t for w, t in zip(workspaces, trained, strict=True)}


def _alone(workspace: Workspace, plan: TrainingPlan, advance: Advance) -> Trained:
    started = time.perf_counter()
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
    best, seconds = run.curve[run.best].step, time.perf_counter() - started
    return Trained(split(run.encoder)[0], curves, best, seconds)


def train_together(job: Job, workspaces: Sequence[Workspace]) -> Trained:
    """One encoder on all raw histories: the upper bound that no platform may compute."""
    with job.progress.track("pooled training, passes", job.plan.passes) as advance:
        return job.stages.once("pooled", lambda: train_pooled(workspaces, job.plan, advance))
