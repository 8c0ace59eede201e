"""What one encoder is worth on a platform's test users, and what it gives away about its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

import numpy as np

from isthmus.encoder import SharedEncoder
from isthmus.parameters import Shared
from isthmus_client.evaluate import Evaluator
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.membership import attack, user_losses
from isthmus_client.ranking import Task, rank
from isthmus_client.sequences import Ints
from isthmus_client.training import generator
from isthmus_client.workspace import Workspace, stable_order
from isthmus_simulations.job import Job
from isthmus_simulations.price.cells import Attack, CellFacts, PlatformFacts, Run
from isthmus_simulations.price.seats import Seat
from isthmus_simulations.price.train import Trained, impossible, train
from isthmus_simulations.stages import encoder_of
from isthmus_simulations.transfer.contenders import content_contender

MOST_ATTACKED: Final = 2_500  # members, and held-out users, of a platform


def measure(run: Run, job: Job, seats: Sequence[Seat], most: int, identity: str) -> CellFacts:
    """Train in the run's way, rank the test users, attack.

    Args:
        job: a plan with its seed, and a folder to keep unfinished work in.
        seats: of the platforms that take part.
        most: test users of a platform at most.
        identity: digest of everything that the figures depend on.

    Raises:
        FederationError: a round could not be finished.
    """
    initial = initial_parameters(job.plan.encoder, job.plan.seed)
    empty = CellFacts(
        identity=identity,
        scenario=run.scenario,
        seed=run.seed,
        way=run.way,
        epsilon=run.epsilon,
        platform=run.platform,
        split=seats[0].workspace.split.kind,
        parameters=initial.size,
        platforms={},
    )
    workspaces = [each.workspace for each in seats]
    if (reason := impossible(job, workspaces)) is not None:
        return empty.model_copy(update={"impossible": reason})
    resumed = job.options.out.exists()
    found = train(run.way, job, workspaces)
    return empty.model_copy(
        update={
            "platforms": _platforms(run, job, seats, initial, found, most),
            "privacy": found.privacy,
            "rounds": found.rounds,
            "bytes": found.bytes,
            "seconds": None if resumed else found.seconds,
        }
    )


def _platforms(
    run: Run, job: Job, seats: Sequence[Seat], initial: Shared, found: Trained, most: int
) -> dict[str, PlatformFacts]:
    before, after = (encoder_of(each, job.plan.encoder) for each in (initial, found.encoder))
    platforms = {}
    with job.progress.track("test and attack", len(seats)) as advance:
        for each in seats:
            found_out = attacked(each, before, after, run.seed) if run.way != "prior" else None
            facts = _tested(each, after, most).model_copy(update={"attack": found_out})
            platforms[each.workspace.platform.name] = facts
            advance(1)
    return platforms


def drawn_task(workspace: Workspace, most: int) -> tuple[Task, int]:
    """The drawn test users' task, the same in every cell, and how many test users there are."""
    whole = Evaluator(workspace, "test").task
    rows = np.sort(stable_order(whole.users.size, seed=0)[:most])
    drawn = Task(whole.users[rows], whole.history[rows], whole.targets[rows], whole.masked)
    return drawn, int(whole.users.size)


def _tested(seat: Seat, encoder: SharedEncoder, most: int) -> PlatformFacts:
    """Ranked by prior and content part alone, as an encoder is before any head is fitted."""
    workspace = seat.workspace
    task, total = drawn_task(workspace, most)
    ranking = rank(task, content_contender("content", workspace, encoder).scorer("test"))
    return PlatformFacts(
        users=workspace.platform.histories.users,
        items=workspace.items,
        training_users=seat.members.size,
        held_out=seat.held_out.size,
        test_users=total,
        users_tested=tuple(ranking.users.tolist()),
        ndcg=tuple(ranking.ndcg.tolist()),
    )


def attacked(seat: Seat, before: SharedEncoder, after: SharedEncoder, seed: int) -> Attack | None:
    """Members against held-out users, all or some of either.

    Args:
        seat: a platform with users held out.
        before: the untrained encoder, which says how hard a user is to predict.
        after: the trained one.
        seed: draws the users where there are many, and the windows of all.

    Returns:
        None where nobody can be judged.
    """
    name = seat.workspace.platform.name
    outside = generator(seed, "attacked outside", name).permutation(seat.held_out)[:MOST_ATTACKED]
    inside = generator(seed, "attacked inside", name).permutation(seat.members)[:MOST_ATTACKED]
    sides = [_gained(seat, before, after, np.sort(users), seed) for users in (inside, outside)]
    if any(not np.isfinite(side).any() or np.isinf(side).any() for side in sides):
        return None
    plain = asdict(attack(sides[0], sides[1]))
    return Attack(**{name: plain[name] for name in Attack.model_fields})


def _gained(
    seat: Seat, before: SharedEncoder, after: SharedEncoder, users: Ints, seed: int
) -> np.typing.NDArray[np.float64]:
    """Each user's loss, less what it was before training. (users,)"""
    content = seat.workspace.content
    trained, fresh = (
        user_losses(encoder, seat.everyone, content, users, seed=seed)
        for encoder in (after, before)
    )
    return trained - fresh
