"""The no-harm gate: a platform serves the federation's model only where it is surely the better.

Decided on validation users whom no training choice has seen; the test window plays no part.
docs/decisions/0009 says why a higher mean is not enough, with measured error rates; 0026 why a
second window helps, where an earlier release has left a track record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from isthmus.statistics import Difference, Equivalence, equivalence, paired_bootstrap
from isthmus_client.mixing import FEWEST, sure_gain
from isthmus_client.track_record import Both, Past, past_of

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
        both: gain and standard error over this window and the earlier one; None without one.
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
    both: Both | None = None


def decide(
    candidate: str,
    qualities: Mapping[str, Quality],
    own: tuple[str, ...],
    *,
    seed: int,
    past: Past | None = None,
) -> Decision:
    """Compare the candidate with the best of a platform's own models.

    Args:
        candidate: name of the federation's model.
        qualities: NDCG@10 of every model on the same users. each (users,)
        own: names of what the platform has without the federation; a tie goes to the earlier one.
        seed: of the bootstrap.
        past: the same comparison on an earlier window, with the models of then. It must know all of
            `own`; of fewer than `FEWEST` users it is left out.

    Guarantees:
        The candidate is served only if its mean gain over the incumbent exceeds its standard
        error, shown by `FEWEST` users or more; otherwise the platform keeps its own model. The
        rule is the head's own (`mixing.sure_gain`). With a past, incumbent and gain are those of
        both windows, each a share of its window's best mean and of equal weight, and the standard
        error is that of one of them: two windows that say the same decide as one of them would.
    """
    users = int(qualities[candidate].size)
    if not users:
        nothing: dict[str, float | None] = dict.fromkeys(qualities)
        reason = "Nobody could be judged by, so the platform keeps what it has."
        return Decision("local", own[0], candidate, own[0], None, 0, nothing, reason=reason)
    means = {name: float(quality.mean()) for name, quality in qualities.items()}
    windows = _windows(past_of(candidate, qualities, own), past)
    incumbent = max(own, key=lambda name: _standing(name, windows) if windows else means[name])
    theirs, ours = qualities[candidate], qualities[incumbent]
    both = _both(incumbent, windows) if windows else None
    better = both.sure if both is not None else sure_gain(theirs, ours) > 0
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
        reason=_reason(difference, error, both),
        both=both,
    )


def _windows(now: Past | None, past: Past | None) -> tuple[Past, ...]:
    """This window and the earlier one; none where either has too few users to show a gain."""
    both = tuple(each for each in (now, past) if each is not None and each.users >= FEWEST)
    return both if len(both) > 1 else ()


def _standing(name: str, windows: Sequence[Past]) -> float:
    """How good one of the own models is over all windows, each as a share of its best."""
    return sum(each.share(each.own[name].ndcg) for each in windows)


def _both(incumbent: str, windows: Sequence[Past]) -> Both:
    """The mean of the windows' gains, and the standard error that one such window has."""
    gains = [each.share(each.own[incumbent].gain) for each in windows]
    errors = [each.share(each.own[incumbent].standard_error) for each in windows]
    return Both(gain=sum(gains) / len(windows), standard_error=hypot(*errors) / sqrt(len(windows)))


def _reason(difference: Difference, error: float | None, both: Both | None) -> str:
    """Why the rule decided so, with its figures."""
    gain, users = difference.mean, difference.users
    if users < FEWEST:
        return (
            f"{users} users are too few to show a gain (at least {FEWEST} are needed), so the "
            "platform keeps what it has."
        )
    if both is not None:
        return _reason_of_both(both)
    if gain <= 0:
        return "The federation's model is not better on average, so the platform keeps what it has."
    if gain <= (error or 0.0):
        return (
            f"The mean gain of {gain:.5f} is within its standard error of {error:.5f}: it may be "
            "luck, so the platform keeps what it has."
        )
    return f"The mean gain of {gain:.5f} exceeds its standard error of {error:.5f}."


def _reason_of_both(both: Both) -> str:
    """Why, where an earlier window counts too."""
    gain = f"{100 * both.gain:+.1f} %".replace("-", "\N{MINUS SIGN}")
    error = f"{100 * both.standard_error:.1f} %"
    if both.sure:
        return (
            f"Over this window and the earlier one the mean gain of {gain} exceeds the standard "
            f"error of one, {error}."
        )
    if both.gain <= 0:
        return (
            "Over this window and the earlier one the federation's model is not better on average, "
            "so the platform keeps what it has."
        )
    return (
        f"Over this window and the earlier one the mean gain of {gain} is within the standard "
        f"error of one, {error}: it may not last, so the platform keeps what it has."
    )
