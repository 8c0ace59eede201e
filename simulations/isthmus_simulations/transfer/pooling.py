"""A platform over all seeds, with the user as the unit.

Each seed draws test users and trains anew. A user's values are averaged over the seeds that drew
the user, model by model; differences are then bootstrapped over users. The interval covers the
draw of users; how much seeds differ is told beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isthmus_simulations.transfer.facts import Ints, PlatformFacts, PlatformValues, Values

ALONE, BASELINE, SERVED = "alone", "baseline", "served"
"""Three models that are one model or another in each seed: the incumbent at the platform's gate,
that is what it would serve without the federation; the best of the established baselines there; and
what the gate serves with the federation."""


@dataclass(frozen=True)
class SeedView:
    """One platform under one seed.

    Attributes:
        rows: place of each model in the arrays of the values.
    """

    seed: int
    facts: PlatformFacts
    values: PlatformValues

    @property
    def rows(self) -> dict[str, int]:
        """Place of each model in the values; what stands alone and what is served point to one."""
        places = {model.name: place for place, model in enumerate(self.facts.models)}
        gate = self.facts.gate
        chosen = {ALONE: gate.incumbent, BASELINE: gate.baseline, SERVED: gate.served}
        return {**places, **{name: places[model] for name, model in chosen.items()}}

    def ndcg(self, model: str) -> Values:
        """NDCG@10 of a model's test users. (test,)."""
        return np.asarray(self.values.ndcg[self.rows[model]])


@dataclass(frozen=True)
class Pooled:
    """One platform over all seeds.

    Attributes:
        users: everyone whom some seed drew, ascending. (users,)
        ndcg: mean over the seeds that drew the user, by model. each (users,)
    """

    seeds: tuple[SeedView, ...]
    users: Ints
    ndcg: Mapping[str, Values]

    @property
    def models(self) -> tuple[str, ...]:
        """The models proper, in order."""
        return tuple(model.name for model in self.seeds[0].facts.models)

    @property
    def known(self) -> Ints:
        """Events of each user's history before the test. (users,)."""
        known = np.zeros(self.users.size, dtype=np.int64)
        for view in self.seeds:
            known[np.searchsorted(self.users, view.values.users)] = view.values.known
        return known

    def by_seed(self, model: str) -> list[float]:
        """Mean NDCG@10 of a model's users, seed by seed."""
        return [float(view.ndcg(model).mean()) for view in self.seeds if view.values.users.size]

    def lifts(self, candidate: str, baseline: str) -> list[float | None]:
        """Relative difference of the means, seed by seed; None where the baseline's is 0."""
        pairs = zip(self.by_seed(candidate), self.by_seed(baseline), strict=True)
        return [a / b - 1 if b else None for a, b in pairs]

    def gate_means(self) -> dict[str, float | None]:
        """NDCG@10 of every model on the gate's users, mean over seeds; None without users."""
        if not self.seeds[0].values.gate_users.size:
            return dict.fromkeys(self.models)
        means = np.mean([view.values.gate_ndcg.mean(axis=1) for view in self.seeds], axis=0)
        return {name: float(mean) for name, mean in zip(self.models, means, strict=True)}


def pool(seeds: Sequence[SeedView]) -> Pooled:
    """Average every user's values over the seeds that drew the user."""
    users = np.unique(np.concatenate([view.values.users for view in seeds]))
    names = (*(model.name for model in seeds[0].facts.models), ALONE, BASELINE, SERVED)
    ndcg = {name: average(seeds, users, _of(name)) for name in names}
    return Pooled(tuple(seeds), users, ndcg)


def _of(model: str) -> Callable[[SeedView], Values]:
    return lambda view: view.ndcg(model)


def average(seeds: Sequence[SeedView], users: Ints, values: Callable[[SeedView], Values]) -> Values:
    """Mean of each user's values over the seeds that have one; NaN where none has. (users,).

    Args:
        values: of a seed's test users, in their order; NaN is no value.
    """
    total, count = np.zeros(users.size), np.zeros(users.size)
    for view in seeds:
        found = values(view)
        held = ~np.isnan(found)
        places = np.searchsorted(users, view.values.users[held])
        total[places] += found[held]
        count[places] += 1
    mean: Values = np.divide(total, count, out=np.full(users.size, np.nan), where=count > 0)
    return mean
