"""What a release gives a platform that took no part in it: from the catalogue alone to all users.

For each number of own users every model is fitted anew, with those users alone: they train, tune
and stop it. All sizes are tested on the same users, those of the platform's test window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import torch

from isthmus.progress import Advance
from isthmus_client.day_one_models import (
    WITH_USERS,
    WITHOUT_USERS,
    Family,
    Fit,
    Fitted,
    Measure,
    Recipe,
    names,
    single,
)
from isthmus_client.evaluate import Evaluator, Purpose
from isthmus_client.ranker_model import RankerModel, rank_models
from isthmus_client.ranking import Ranking, Task, Window
from isthmus_client.training import generator
from isthmus_client.workspace import Workspace, stable_order

SIZES: Final = (0, 100, 300, 1000)  # own users; 0 = the catalogue alone
WINDOWS: Final[tuple[tuple[Window, Purpose], ...]] = (("test", "all"), ("validation", "gate"))
"""Where every model is measured; validation users whom no choice has seen decide the gate."""


@dataclass(frozen=True)
class Sampled(Evaluator):
    """An evaluator that ranks for some of the users, where they are many.

    Attributes:
        most: users at most, drawn once without regard to their events: equal users are drawn from
            an equal window. None = all.
    """

    most: int | None = None

    @cached_property
    def task(self) -> Task:
        """Users, histories and targets."""
        whole = super().task
        chosen = np.sort(stable_order(whole.users.size, seed=1)[: self.most])
        return Task(whole.users[chosen], whole.history[chosen], whole.targets[chosen], whole.masked)


@dataclass(frozen=True)
class Measured:
    """One model after fitting.

    Attributes:
        test: on the test window.
        gate: on the half of the validation users whom no choice has seen.
        seconds: of computing, to fit and tune it.
    """

    test: Ranking
    gate: Ranking
    seconds: float


@dataclass(frozen=True)
class Day:
    """Everything that the platform has with so many own users, by the models' names."""

    users: int
    models: Mapping[str, Measured]


def measure_days(
    workspace: Workspace,
    release: RankerModel,
    recipe: Recipe,
    *,
    sizes: Sequence[int] = SIZES,
    everyone: bool = False,
    with_users: Sequence[Family] = WITH_USERS,
    most: int | None = None,
    workers: int = 1,
    advance: Advance = lambda _: None,
) -> tuple[Day, ...]:
    """Fit and measure every model at every size.

    Args:
        sizes: own users; those beyond the platform's own number are left out.
        everyone: whether all own users are the last size.
        with_users: what to fit where there are users.
        most: users that a window is ranked for, drawn at random; None = all.
        workers: families that are fitted, and windows that are ranked, at the same time.
        advance: called until it has been told of `task_count` steps.
    """
    counts = _sizes(workspace, sizes, everyone)
    days = [_first_users(workspace, count, recipe.seed) for count in counts]
    tasks = [(place, f) for place, n in enumerate(counts) for f in _families(n, with_users)]

    def fit(task: tuple[int, Family]) -> Mapping[str, Fitted]:
        found = task[1].fit(days[task[0]], release, recipe)
        advance(len(found))
        return found

    # The longest first: with two workers the last one left is then short.
    with _one_thread_each(workers), ThreadPoolExecutor(workers, thread_name_prefix="day") as pool:
        fits = list(pool.map(fit, reversed(tasks)))[::-1]
        models: list[dict[str, Fitted]] = [{} for _ in days]
        for (place, _), found in zip(tasks, fits, strict=True):
            models[place].update(found)
        evaluators = [[Sampled(day, *w, most=most) for w in WINDOWS] for day in days]
        ranked = _ranked(pool, evaluators, models, advance)
    return tuple(
        Day(count, {name: _put_together(found, name, fitted[name]) for name in fitted})
        for count, fitted, found in zip(counts, models, ranked, strict=True)
    )


def task_count(
    workspace: Workspace,
    sizes: Sequence[int],
    *,
    everyone: bool,
    with_users: Sequence[Family] = WITH_USERS,
) -> int:
    """Steps of `measure_days`: models that it fits, and windows that it ranks."""
    counts = _sizes(workspace, sizes, everyone)
    fits = sum(len(names(_families(count, with_users))) for count in counts)
    return fits + len(WINDOWS) * len(counts)


def _families(users: int, with_users: Sequence[Family]) -> tuple[Family, ...]:
    """What can be fitted on so many users."""
    return (*WITHOUT_USERS, *(with_users if users else ()))


def _sizes(workspace: Workspace, sizes: Sequence[int], everyone: bool) -> tuple[int, ...]:
    """Sizes that the platform can show, in ascending order, each once."""
    total = int(workspace.sequences.training_users.size)
    kept = {size for size in sizes if size <= total}
    return tuple(sorted(kept | ({total} if everyone else set())))


def _first_users(workspace: Workspace, size: int, seed: int) -> Workspace:
    """The platform when so many users had come; a larger size holds the users of a smaller one."""
    everyone = workspace.sequences.training_users
    order = generator(seed, "newcomer", workspace.platform.name).permutation(everyone)
    day = replace(workspace, training_users=np.sort(order[:size]))
    # What is made of the catalogue alone is the same on every day.
    vars(day).update(content=workspace.content, alike=workspace.alike)
    return day


@contextmanager
def _one_thread_each(workers: int) -> Iterator[None]:
    """PyTorch's own threads would fight with those of several workers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if workers > 1 else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


Ranked = Mapping[str, Ranking]


def _ranked(
    pool: ThreadPoolExecutor,
    evaluators: Sequence[Sequence[Evaluator]],
    models: Sequence[Mapping[str, Fitted]],
    advance: Advance,
) -> list[list[Ranked]]:
    """Every day's models by each of its evaluators."""

    def one(task: tuple[int, int]) -> Ranked:
        day, window = task
        found = {name: fitted.model for name, fitted in models[day].items()}
        ranked = rank_together(evaluators[day][window], found)
        advance(1)
        return ranked

    days, windows = range(len(evaluators)), range(len(WINDOWS))
    tasks = [(day, window) for window in windows for day in reversed(days)]
    found = dict(zip(tasks, pool.map(one, tasks), strict=True))
    return [[found[day, window] for window in windows] for day in days]


def rank_together(evaluator: Evaluator, models: Mapping[str, Measure | RankerModel]) -> Ranked:
    """Rankings of one window; what ranker models share is made once for each user."""
    rankers = {name: model for name, model in models.items() if isinstance(model, RankerModel)}
    where = (evaluator.workspace, evaluator.window, evaluator.task)
    ranked = rank_models(*where, rankers) if rankers else {}
    others = {n: m(evaluator) for n, m in models.items() if not isinstance(m, RankerModel)}
    return {name: {**ranked, **others}[name] for name in models}


def _put_together(found: Sequence[Ranked], name: str, fitted: Fitted) -> Measured:
    test, gate = (ranked[name] for ranked in found)
    return Measured(test, gate, fitted.seconds)


def measure(workspace: Workspace, fit: Fit, release: RankerModel, recipe: Recipe) -> Measured:
    """Fit one model, then rank for the test window's users and for those who decide the gate."""
    fitted = single("", fit).fit(workspace, release, recipe)[""]
    ranked = [rank_together(Evaluator(workspace, *w), {"": fitted.model}) for w in WINDOWS]
    return _put_together(ranked, "", fitted)
