"""Who was among the training users? A membership attack by the loss, and what it found.

The attacker holds the released encoder and a user's whole history, and says "member" where the loss
is low (S. Yeom et al., Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting,
CSF 2018). It is judged where it hurts: by the members it names while almost no non-member is named
(N. Carlini et al., Membership Inference Attacks From First Principles, S&P 2022). No shadow models
are trained, so a better attack may exist: a low figure is no proof, a high one is an alarm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats
from torch import Tensor

from isthmus.encoder import SharedEncoder
from isthmus_client.content_loss import Distinct, paired_products, training_queries
from isthmus_client.model import Queries
from isthmus_client.sequences import Batch, Ints, Sequences
from isthmus_client.training import generator

Losses = npt.NDArray[np.float64]

FALSE_POSITIVE_RATE: Final = 1e-3  # of non-members: where the attack is judged
USERS_AT_ONCE: Final = 64  # of similar length; bounds the memory


@dataclass(frozen=True)
class Membership:
    """What the attack achieved; a blind guess has an AUC of 0.5 and a TPR equal to the FPR.

    Attributes:
        auc: chance that a member's loss is below a non-member's, ties counted half.
        auc_low: lower end of its interval (DeLong 1988).
        auc_high: upper end.
        tpr: share of the members named at the threshold.
        tpr_low: lower end of its interval at that threshold (Clopper and Pearson 1934).
        tpr_high: upper end.
        fpr: share of the non-members named at the threshold; never above what was asked for. With
            fewer than 1 / asked non-members it is 0, and the attack is judged more strictly.
        members: training users judged.
        non_members: held-out users judged.
        confidence: of the intervals.
    """

    auc: float
    auc_low: float
    auc_high: float
    tpr: float
    tpr_low: float
    tpr_high: float
    fpr: float
    members: int
    non_members: int
    confidence: float


def attack(
    members: Losses,
    non_members: Losses,
    *,
    fpr: float = FALSE_POSITIVE_RATE,
    confidence: float = 0.95,
) -> Membership:
    """Tell members from non-members by a threshold on the loss.

    The threshold is set on the non-members that are judged, which favours the attacker. Giving the
    loss less the loss under round 0's encoder calibrates it by how hard a user is to predict.

    Args:
        members: losses of users that trained the release; NaN = has none, left out. (members,)
        non_members: losses of users of the same platform that did not. (non-members,)
        fpr: share of non-members that may be named, in [0, 1).
        confidence: of the intervals, in (0, 1).

    Raises:
        ValueError: nobody on one side, an infinite loss, or a share out of range.
    """
    inside, outside = _judged("members", members), _judged("non-members", non_members)
    if not (0 <= fpr < 1 and 0 < confidence < 1):
        raise ValueError(f"fpr is {fpr}, confidence {confidence}: expected shares below 1")
    allowed = math.floor(fpr * outside.size)
    threshold = np.partition(outside, allowed)[allowed]  # so many, at most, lie strictly below
    named = int(np.count_nonzero(inside < threshold))
    tpr_low, tpr_high = _clopper_pearson(named, inside.size, confidence)
    auc, spread = _auc(inside, outside)
    reach = float(stats.norm.isf((1 - confidence) / 2)) * spread
    return Membership(
        auc=auc,
        auc_low=max(auc - reach, 0.0),
        auc_high=min(auc + reach, 1.0),
        tpr=named / inside.size,
        tpr_low=tpr_low,
        tpr_high=tpr_high,
        fpr=float(np.mean(outside < threshold)),
        members=inside.size,
        non_members=outside.size,
        confidence=confidence,
    )


def highest_tpr(epsilon: float, delta: float, fpr: float = FALSE_POSITIVE_RATE) -> float:
    """The TPR that no attack on an (epsilon, delta)-DP release exceeds at a false positive rate.

    Both directions of the definition (P. Kairouz, S. Oh and P. Viswanath, The Composition Theorem
    for Differential Privacy, ICML 2015): TPR <= e^epsilon FPR + delta, and the same of the
    complements.
    """
    grown = math.exp(min(epsilon, 700.0))  # e^709 is the largest float
    return min(grown * fpr + delta, 1 - (1 - delta - fpr) / grown, 1.0)


def user_losses(
    shared: SharedEncoder,
    sequences: Sequences,
    content: Tensor,
    users: Ints,
    *,
    seed: int,
    negatives: int = 512,
    draws: int = 4,
) -> Losses:
    """The training objective of each user, averaged over drawn windows. (users,)

    All users face the same negatives in a draw, so that their losses can be compared.

    Args:
        sequences: training windows in which these users have events, members or not.
        content: whitened content vectors of the catalogue. (items, content)
        users: rows of the platform's histories. (users,)
        seed: equal seeds give equal losses.
        negatives: uniform over the catalogue.
        draws: windows and targets of each user.

    Returns:
        Losses; NaN where no drawn window had a target.
    """
    order = np.argsort(sequences.window_lengths(users), kind="stable")
    parts = np.array_split(order, max(math.ceil(users.size / USERS_AT_ONCE), 1))
    losses = np.full((draws, users.size), np.nan)
    for draw in range(draws):
        random = generator(seed, "membership", draw)
        drawn = torch.from_numpy(random.integers(0, len(content), size=negatives))
        for part in parts:
            batch = sequences.training_batch(users[part], random).trimmed()
            losses[draw, part] = batch_losses(shared, batch, content, drawn)
    found = ~np.isnan(losses)
    return _ratio(np.where(found, losses, 0.0).sum(axis=0), found.sum(axis=0))


def _ratio(total: Losses, counts: Ints) -> Losses:
    """The mean; NaN of nothing. (users,)"""
    empty = np.full(counts.shape, np.nan)
    return np.asarray(np.divide(total, counts, out=empty, where=counts > 0))


def batch_losses(shared: SharedEncoder, batch: Batch, content: Tensor, negatives: Tensor) -> Losses:
    """What `content_loss` averages: each user's mean over the user's own positions. (users,)

    Args:
        content: whitened content vectors of the catalogue. (items, content)
        negatives: catalogue rows. (negatives,)

    Returns:
        Losses; NaN where a user has no position with a target.
    """
    at = batch.targets >= 0
    with torch.no_grad():
        query = training_queries(shared, batch, content, at)
        losses = _position_losses(shared, query, content, batch.targets[at], negatives)
    users = np.nonzero(at)[0]
    total = np.bincount(users, losses.double().numpy(), len(at)).astype(np.float64)
    return _ratio(total, at.sum(axis=1))


def _position_losses(
    shared: SharedEncoder, query: Queries, content: Tensor, targets: Ints, negatives: Tensor
) -> Tensor:
    """Cross-entropy of each position's target against the negatives. (positions,)."""
    right = Distinct.of(targets, content.device)
    rows, wrong = content[right.rows], content[negatives]
    own = shared.scale * paired_products(query.prior, rows, right.place)
    own += (query.user * right.spread(shared.items(rows))).sum(dim=1)
    other = shared.scale * (query.prior @ wrong.T) + query.user @ shared.items(wrong).T
    hits = torch.from_numpy(targets).unsqueeze(1) == negatives  # (positions, negatives)
    other.masked_fill_(hits, -torch.inf)
    return torch.logsumexp(torch.cat([own.unsqueeze(1), other], dim=1), dim=1) - own


def _judged(side: str, losses: Losses) -> Losses:
    """The losses that exist."""
    found = losses[~np.isnan(losses)]
    if found.ndim != 1 or not found.size:
        raise ValueError(f"no {side}: an attack needs at least one on either side")
    if not np.isfinite(found).all():
        raise ValueError(f"a loss of the {side} is infinite")
    return found


def _clopper_pearson(hits: int, trials: int, confidence: float) -> tuple[float, float]:
    found = stats.binomtest(hits, trials).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)


def _auc(members: Losses, non_members: Losses) -> tuple[float, float]:
    """The area under the curve, and its standard error by placements (DeLong et al. 1988)."""
    inside, outside = np.sort(members), np.sort(non_members)
    above = 1.0 - _place(members, outside)  # of each member: share of non-members with more loss
    below = _place(non_members, inside)  # of each non-member: share of members with less loss
    variance = _mean_variance(above) + _mean_variance(below)
    return float(above.mean()), math.sqrt(variance)


def _place(values: Losses, among: Losses) -> Losses:
    """Share of sorted `among` that is below each value, ties counted half."""
    low = np.searchsorted(among, values, side="left")
    high = np.searchsorted(among, values, side="right")
    return np.asarray((low + high) / (2.0 * among.size))


def _mean_variance(values: Losses) -> float:
    """Variance of the mean; 0 for a single value, which has none to show."""
    return float(values.var(ddof=1) / values.size) if values.size > 1 else 0.0
