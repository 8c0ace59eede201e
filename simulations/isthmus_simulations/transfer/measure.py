"""One cell: every model on every platform of a scenario under one seed.

The federation, the training alone and the pooled training are the very functions of `isthmus
simulate`. Everything that is chosen is chosen on the validation window; the test window is ranked
once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus_client.contender import Contender
from isthmus_client.evaluate import Evaluator
from isthmus_client.local_training import CurvePoint
from isthmus_client.platform import Platform
from isthmus_client.ranker_model import Blocks, rank_models
from isthmus_client.ranking import Ranking, Task, Window, rank
from isthmus_client.training import generator
from isthmus_client.workspace import Workspace
from isthmus_server.history import RunResult
from isthmus_simulations.federation import federate
from isthmus_simulations.job import Job
from isthmus_simulations.rankers import train_rankers
from isthmus_simulations.stages import Trained
from isthmus_simulations.training import own_sequence_models, train_without_federation
from isthmus_simulations.transfer.facts import (
    Cell,
    CellFacts,
    CostPoint,
    Ints,
    ModelFacts,
    PlatformFacts,
    PlatformValues,
    TrialFacts,
)
from isthmus_simulations.transfer.item_buckets import item_buckets
from isthmus_simulations.transfer.memory import gate_facts
from isthmus_simulations.transfer.models import MODELS, Seat

FEW = 500  # test users that are all taken: a draw would only make their figures noisier
SHARE = 0.8  # of the test users that a seed draws where there are more


@dataclass(frozen=True)
class Draw:
    """Which test users a seed looks at.

    Attributes:
        most: test users of a platform at most.
    """

    seed: int
    most: int

    def of(self, users: int, platform: str) -> Ints:
        """Places of the drawn among so many test users, ascending. (drawn,)."""
        count = min(max(round(SHARE * users), min(users, FEW)), self.most)
        order = generator(self.seed, "test users", platform).permutation(users)
        return np.sort(order[:count])


def measure(platforms: Sequence[Platform], job: Job, draw: Draw) -> Cell:
    """Train in every way, fit every model, rank the test users.

    Args:
        platforms: of one scenario.
        job: a plan with its seed, and a folder to keep unfinished work in.
        draw: which test users.

    Raises:
        FederationError: a round could not be finished.
    """
    workspaces = tuple(Workspace(p, job.plan.encoder.max_events) for p in platforms)
    with job.clock.stage("federation"):
        run = federate(job, workspaces)
    with job.clock.stage("training alone and pooled"):
        alone, pooled = train_without_federation(job, workspaces)
    with job.clock.stage("own sequence models"):
        own = own_sequence_models(job, workspaces)
    with job.clock.stage("rankers"):
        ranking, rankers = train_rankers(job, workspaces, run.best, alone, pooled, own)
    facts: dict[str, PlatformFacts] = {}
    values: dict[str, PlatformValues] = {}
    total = len(workspaces) * len(MODELS)
    with (
        job.clock.stage("models and evaluation"),
        job.progress.track("models", total) as advance,
    ):
        for workspace in workspaces:
            name = workspace.platform.name
            mine = alone[name]
            seat = Seat(workspace, job.plan, mine.parameters, run.best, rankers[name], own[name])
            contenders = {}
            for model, entry in MODELS.items():
                contenders[model] = entry.fit(seat)
                advance(1)
            found, facts[name] = _platform(workspace, contenders, draw)
            values[name] = found
            workspace.facts.clear()  # large, and nobody asks for them again
            facts[name] = facts[name].model_copy(
                update={
                    "federated": federated_costs(run, ranking, name),
                    "local": local_costs(mine, rankers[name].curves["local"], name),
                    "bytes_per_round": bytes_per_round((run, ranking), name),
                }
            )
    return Cell(_cell_facts(job, workspaces, run, ranking, facts), values)


def _cell_facts(
    job: Job,
    workspaces: Sequence[Workspace],
    run: RunResult,
    ranking: RunResult,
    facts: dict[str, PlatformFacts],
) -> CellFacts:
    return CellFacts(
        scenario=job.options.scenario,
        seed=job.plan.seed,
        split=workspaces[0].split.kind,
        encoder_rounds=_rounds(run),
        ranker_rounds=_rounds(ranking),
        best_round=run.best_round,
        best_ranker_round=ranking.best_round,
        seconds=job.clock.seconds,
        platforms=facts,
    )


def _platform(
    workspace: Workspace, contenders: Mapping[str, Contender], draw: Draw
) -> tuple[PlatformValues, PlatformFacts]:
    """One platform's gate on the validation window, then its test window."""
    gate_task = Evaluator(workspace, "validation", "gate").task
    judged = _ranked(workspace, "validation", gate_task, contenders)
    qualities = {name: ranking.ndcg for name, ranking in judged.items()}
    gate = gate_facts(qualities, draw.seed)
    whole = Evaluator(workspace, "test").task
    task = _drawn(whole, draw.of(whole.users.size, workspace.platform.name))
    ranked = _ranked(workspace, "test", task, contenders)
    histories = workspace.platform.histories
    facts = PlatformFacts(
        users=histories.users,
        items=workspace.items,
        events=histories.events,
        training_users=int(workspace.sequences.training_users.size),
        test_users=int(whole.users.size),
        models=tuple(_model_facts(n, c, ranked[n]) for n, c in contenders.items()),
        gate=gate,
    )
    return _values(workspace, task, ranked, judged), facts


def _ranked(
    workspace: Workspace, window: Window, task: Task, contenders: Mapping[str, Contender]
) -> dict[str, Ranking]:
    """Everybody's rankings; models with a ranker share the work of making signals."""
    scorers = {name: contender.scorer(window) for name, contender in contenders.items()}
    signalled = {n: s.model for n, s in scorers.items() if isinstance(s, Blocks)}
    found = rank_models(workspace, window, task, signalled)
    return {n: found[n] if n in found else rank(task, s) for n, s in scorers.items()}


def _drawn(task: Task, rows: Ints) -> Task:
    """The task of some of its users."""
    return Task(task.users[rows], task.history[rows], task.targets[rows], task.masked)


def _model_facts(name: str, contender: Contender, ranking: Ranking) -> ModelFacts:
    trials = (
        TrialFacts(settings=dict(t.settings), ndcg=t.ndcg, seconds=t.seconds)
        for t in contender.trials
    )
    return ModelFacts(
        name=name,
        role=MODELS[name].role,
        trials=tuple(trials),
        chosen=contender.chosen,
        seconds=contender.seconds,
        coverage=ranking.coverage,
    )


def _values(
    workspace: Workspace,
    task: Task,
    ranked: Mapping[str, Ranking],
    judged: Mapping[str, Ranking],
) -> PlatformValues:
    rankings, gate = list(ranked.values()), list(judged.values())
    known = workspace.split.validation_stop - workspace.platform.histories.offsets[:-1]
    return PlatformValues(
        users=task.users,
        known=known[task.users],
        ndcg=np.stack([r.ndcg for r in rankings]),
        hit=np.stack([r.hit for r in rankings]),
        reciprocal=np.stack([r.reciprocal for r in rankings]),
        item_ndcg=item_buckets(workspace, rankings),
        gate_users=gate[0].users,
        gate_ndcg=np.stack([r.ndcg for r in gate]),
    )


def federated_costs(run: RunResult, ranking: RunResult, platform: str) -> tuple[CostPoint, ...]:
    """Validation after every round of the ranker, with the platform's seconds and bytes so far.

    Rounds, seconds and bytes begin with those of the encoder up to the released one. Making
    signals is not counted: the platform does it once, with the federation or alone.
    """
    seconds, size = _spent(run, platform, run.best_round)
    points = []
    for number, scores in enumerate(ranking.validation):
        more, bytes_more = _spent(ranking, platform, number)
        points.append(
            CostPoint(
                step=float(run.best_round + number),
                seconds=seconds + more,
                bytes=size + bytes_more,
                ndcg=scores.get(platform),
            )
        )
    return tuple(points)


def _spent(run: RunResult, platform: str, last: int) -> tuple[float, int]:
    """A platform's own seconds and its bytes both ways in rounds 1 to `last`."""
    parts = [r.platforms.get(platform) for r in run.rounds if 1 <= r.round <= last]
    there = [part for part in parts if part is not None]
    seconds = sum(float(part.metrics.get("seconds", 0.0)) for part in there)
    return seconds, sum(part.bytes_down + part.bytes_up for part in there)


def local_costs(
    alone: Trained, curve: Sequence[CurvePoint], platform: str
) -> tuple[CostPoint, ...]:
    """The same of the whole recipe alone: its encoder up to the best pass, then its ranker."""
    start = curve[0].seconds if curve else 0.0
    own = alone.curves[platform]
    spent = sum(point.seconds for point in own if point.step == alone.best) - own[0].seconds
    return tuple(
        CostPoint(step=p.step, seconds=max(spent, 0.0) + p.seconds - start, ndcg=p.ndcg)
        for p in curve
    )


def _rounds(run: RunResult) -> int:
    """How many there were; fewer than planned after an early stop."""
    return max((record.round for record in run.rounds), default=0)


def bytes_per_round(runs: Sequence[RunResult], platform: str) -> float:
    """Both ways, mean over all rounds of all runs that took the platform's update."""
    parts = [record.platforms.get(platform) for run in runs for record in run.rounds]
    sizes = [part.bytes_down + part.bytes_up for part in parts if part is not None]
    return float(np.mean(sizes)) if sizes else 0.0
