"""The private federation's rounds without their noise: what clipping alone takes.

These rounds protect nobody, so nothing of them can pass for a private run: no message is made, no
outbox is opened, no ledger charged, no checkpoint or release written. What comes out is an encoder
in memory, to be measured and forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from isthmus.errors import PrivacyError
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus.privacy.events import Event
from isthmus_client.charge import event_of
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.private_trainer import PrivateTrainer
from isthmus_client.workspace import Workspace
from isthmus_simulations.job import Job
from isthmus_simulations.private_federation import schedule_of, server_config


class Unaccounted:
    """Stands where a ledger stands, and charges nothing: the sums never leave this process."""

    def reserve(self, plan: RoundPlan, received: Shared) -> Event:  # noqa: ARG002 - the seam's face
        """What a noised round would cost."""
        return event_of(plan)


def train_without_noise(job: Job, workspaces: Sequence[Workspace]) -> Shared:
    """The encoder after all rounds of the job's private plan, with the noise left out.

    Trainer, sampling, clipping, rounds and server optimiser are the private run's own.

    Guarantees:
        None. The result must not be released: it is not differentially private.

    Raises:
        PrivacyError: the job has no private plan.
        ScenarioError: the plan cannot be kept by these platforms.
    """
    private = job.plan.private
    if private is None:
        raise PrivacyError("rounds without noise are measured beside a private plan, none is given")
    parameters = initial_parameters(job.plan.encoder, job.plan.seed)
    schedule = schedule_of(private, workspaces, parameters)
    config = server_config(job, schedule)
    trainers = [
        PrivateTrainer(w, job.plan.encoder, Unaccounted(), schedule.users[w.platform.name])
        for w in workspaces
    ]
    slots = config.optimiser.init(parameters)
    label = "rounds without noise"
    with (
        ThreadPoolExecutor(job.workers) as pool,
        job.progress.track(label, config.rounds) as advance,
    ):
        for number in range(1, config.rounds + 1):
            asked, start = config.plan_for(number), parameters
            sums = pool.map(lambda t, p=start, a=asked: t.train(p, a).update, trainers)
            mean = _mean(list(sums), schedule.expected_users)
            parameters, slots = config.optimiser.apply(parameters, mean, slots)
            advance(1)
    return parameters


def _mean(sums: Sequence[Shared], expected_users: float) -> Shared:
    """The platforms' sums over the constant that a private round divides by."""
    names = sums[0].tensors
    totals = {n: np.stack([s.tensors[n] for s in sums]).sum(0, np.float64) for n in names}
    return Shared(
        {n: np.asarray(total / expected_users, np.float32) for n, total in totals.items()}
    )
