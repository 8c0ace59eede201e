"""The private federation's rounds without their noise: what clipping alone takes.

These rounds protect nobody, so nothing of them can pass for a private run: no message is sent, no
outbox is opened, no ledger charged, no checkpoint or release written. What comes out is an encoder
in memory, to be measured and forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from isthmus.errors import PrivacyError
from isthmus.messages import RoundPlan, Update
from isthmus.parameters import Shared
from isthmus.privacy.events import Event
from isthmus_client.charge import event_of
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.private_trainer import PrivateTrainer
from isthmus_client.workspace import Workspace
from isthmus_server import rounds
from isthmus_server.config import ServerConfig
from isthmus_simulations.job import Job
from isthmus_simulations.private_federation import schedule_of, server_config


class Unaccounted:
    """Stands where a ledger stands, and charges nothing: the sums never leave this process."""

    def reserve(self, plan: RoundPlan, received: Shared) -> Event:  # noqa: ARG002 - the seam's face
        """What a noised round would cost."""
        return event_of(plan)


def train_without_noise(job: Job, workspaces: Sequence[Workspace]) -> Shared:
    """The encoder after all rounds of the job's private plan, with the noise left out.

    Trainer, sampling, clipping, the server's rounds and its optimiser are the private run's own.

    Guarantees:
        None. The result must not be released: it is not differentially private.

    Raises:
        PrivacyError: the job has no private plan of the trust mode local.
        ScenarioError: the plan cannot be kept by these platforms.
    """
    private = job.plan.private
    if private is None or private.trust != "local":
        raise PrivacyError("rounds without noise follow a private plan of the trust mode local")
    initial = initial_parameters(job.plan.encoder, job.plan.seed)
    schedule = schedule_of(private, workspaces, initial)
    config = server_config(job, schedule)
    trainers = [
        PrivateTrainer(w, job.plan.encoder, Unaccounted(), schedule.users[w.platform.name])
        for w in workspaces
    ]
    state = rounds.start(config, initial)
    with (
        ThreadPoolExecutor(job.workers) as pool,
        job.progress.track("rounds without noise", config.rounds) as advance,
    ):
        while state.phase is rounds.Phase.IDLE:
            state = _round(config, state, trainers, pool)
            advance(1)
    return state.parameters


def _round(
    config: ServerConfig,
    state: rounds.RunState,
    trainers: Sequence[PrivateTrainer],
    pool: ThreadPoolExecutor,
) -> rounds.RunState:
    """One round of the server's state machine, with sums that nobody noised."""
    state = rounds.configure(config, state, [trainer.platform for trainer in trainers])
    assert state.open is not None
    plan, base, start = state.open.plan, state.open.base, state.parameters
    sums = pool.map(lambda trainer: trainer.train(start, plan).update, trainers)
    for trainer, total in zip(trainers, sums, strict=True):
        users = trainer.published_users
        mean = _mean(total, plan.sampling_rate * users)
        update = Update(trainer.platform, plan.round, mean, users, base)
        state = rounds.receive(state, trainer.platform, update, 0)
    moved = rounds.optimise(config, rounds.aggregate(config, state))
    return rounds.commit(config, moved, seconds=0.0, bytes_down={})


def _mean(total: Shared, expected_users: float) -> Shared:
    """A platform's sum over the constant that a private round divides by."""
    tensors = total.tensors.items()
    return Shared({name: np.asarray(t / expected_users, np.float32) for name, t in tensors})
