"""The no-harm gate: a platform serves the federation's model only where it is the better one.

Decided on validation users whom no training choice has seen; the test window plays no part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from isthmus.statistics import Difference, paired_bootstrap

Quality = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Certificate:
    """What the gate compared and what it decided.

    Attributes:
        served: the model that the platform serves from now on.
        incumbent: the best of the platform's own models on the gate's users.
        difference: candidate minus incumbent in NDCG@10; None without users.
        validation: mean NDCG@10 of every model on the gate's users; None without users.
    """

    decision: Literal["federated", "local"]
    served: str
    candidate: str
    incumbent: str
    difference: Difference | None
    users: int
    validation: Mapping[str, float | None]


def decide(
    candidate: str, qualities: Mapping[str, Quality], own: tuple[str, ...], *, seed: int
) -> Certificate:
    """Compare the candidate with the best of a platform's own models.

    Args:
        candidate: name of the federation's model.
        qualities: NDCG@10 of every model on the same users. each (users,)
        own: names of what the platform has without the federation; a tie goes to the earlier one.
        seed: of the bootstrap.

    Guarantees:
        The candidate is served only if its mean on the gate's users is above the incumbent's;
        without users nothing can be shown, so the platform keeps its own model.
    """
    users = qualities[candidate].size
    if not users:
        nothing: dict[str, float | None] = dict.fromkeys(qualities)
        return Certificate("local", own[0], candidate, own[0], None, 0, nothing)
    means = {name: float(quality.mean()) for name, quality in qualities.items()}
    incumbent = max(own, key=lambda name: means[name])
    difference = paired_bootstrap(qualities[candidate], qualities[incumbent], seed=seed)
    better = means[candidate] > means[incumbent]
    return Certificate(
        "federated" if better else "local",
        candidate if better else incumbent,
        candidate,
        incumbent,
        difference,
        users,
        means,
    )
