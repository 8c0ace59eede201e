"""The no-harm gate: a platform serves the federation's model only where it is surely the better.

Decided on validation users whom no training choice has seen; the test window plays no part.
docs/decisions/0009 says why a higher mean is not enough, with measured error rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from isthmus.statistics import Difference, Equivalence, equivalence, paired_bootstrap
from isthmus_client.mixing import FEWEST, sure_gain

Quality = npt.NDArray[np.float64]

MARGIN = 0.01  # loss that counts as none, relative to the incumbent's mean


@dataclass(frozen=True)
class Decision:
    """What the gate compared and what it decided.

    Attributes:
        served: the model that the platform serves from now on.
        incumbent: the best of the platform's own models on the gate's users.
        difference: candidate minus incumbent in NDCG@10; None without users.
        standard_error: of that difference's mean; None with fewer than two users.
        equivalence: whether no loss, or no difference, of the margin or more is shown; it informs
            and does not decide. None without users.
        reason: why, in words.
        validation: mean NDCG@10 of every model on the gate's users; None without users.
    """

    decision: Literal["federated", "local"]
    served: str
    candidate: str
    incumbent: str
    difference: Difference | None
    users: int
    validation: Mapping[str, float | None]
    standard_error: float | None = None
    equivalence: Equivalence | None = None
    reason: str = ""


def decide(
    candidate: str, qualities: Mapping[str, Quality], own: tuple[str, ...], *, seed: int
) -> Decision:
    """Compare the candidate with the best of a platform's own models.

    Args:
        candidate: name of the federation's model.
        qualities: NDCG@10 of every model on the same users. each (users,)
        own: names of what the platform has without the federation; a tie goes to the earlier one.
        seed: of the bootstrap.

    Guarantees:
        The candidate is served only if its mean gain over the incumbent exceeds its standard
        error, shown by `FEWEST` users or more; otherwise the platform keeps its own model. The
        rule is the head's own (`mixing.sure_gain`).
    """
    users = int(qualities[candidate].size)
    if not users:
        nothing: dict[str, float | None] = dict.fromkeys(qualities)
        reason = "Nobody could be judged by, so the platform keeps what it has."
        return Decision("local", own[0], candidate, own[0], None, 0, nothing, reason=reason)
    means = {name: float(quality.mean()) for name, quality in qualities.items()}
    incumbent = max(own, key=lambda name: means[name])
    theirs, ours = qualities[candidate], qualities[incumbent]
    better = sure_gain(theirs, ours) > 0
    error = float(np.std(theirs - ours, ddof=1) / np.sqrt(users)) if users > 1 else None
    difference = paired_bootstrap(theirs, ours, seed=seed)
    return Decision(
        decision="federated" if better else "local",
        served=candidate if better else incumbent,
        candidate=candidate,
        incumbent=incumbent,
        difference=difference,
        users=users,
        validation=means,
        standard_error=error,
        equivalence=equivalence(theirs, ours, margin=MARGIN, seed=seed),
        reason=_reason(difference, error),
    )


def _reason(difference: Difference, error: float | None) -> str:
    """Why the rule decided so, with its figures."""
    gain, users = difference.mean, difference.users
    if users < FEWEST:
        return (
            f"{users} users are too few to show a gain (at least {FEWEST} are needed), so the "
            "platform keeps what it has."
        )
    if gain <= 0:
        return "The federation's model is not better on average, so the platform keeps what it has."
    if gain <= (error or 0.0):
        return (
            f"The mean gain of {gain:.5f} is within its standard error of {error:.5f}: it may be "
            "luck, so the platform keeps what it has."
        )
    return f"The mean gain of {gain:.5f} exceeds its standard error of {error:.5f}."
