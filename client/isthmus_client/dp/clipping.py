"""Clipping: each user's whole gradient to one norm, and the sum over users."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from isthmus.errors import PrivacyError
from isthmus_client.dp.contributions import Contribution, Norms, Weights

MARGIN = 1e-5  # of the clipping norm that is kept for rounding
RAMP = 0.01  # of the clipping norm, on both sides: from counted as within to not counted


@dataclass(frozen=True)
class ClippedSum:
    """The sum of users' clipped gradients, before any noise.

    Guarantees:
        Private: only what was noised may leave. One user more or less moves `tensors` by at most
        the clipping norm, in Euclidean length over all tensors together.

    Attributes:
        tensors: by the name of the trainable parameter, in its type.
        users: that were summed, those without a gradient too.
        within: users whose gradient was no longer than the norm; one near it counts in part,
            so that no rounding of one user's norm flips what another one counts.
    """

    tensors: dict[str, Tensor] = field(repr=False)
    users: int = field(repr=False)
    within: float = field(repr=False)


def zero_sum(module: nn.Module) -> ClippedSum:
    """The sum over nobody: zeros for every trainable parameter."""
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    return ClippedSum({name: torch.zeros_like(p) for name, p in named}, users=0, within=0.0)


def add_clipped(
    total: ClippedSum,
    contributions: Sequence[Contribution],
    users: int,
    clipping_norm: float,
) -> ClippedSum:
    """The sum with one micro-batch of users more; its tensors are added to in place.

    A user's coefficient is `min(1, C (1 - 1e-5) / norm)`, the norm being over all contributions.
    A user whose norm is not finite contributes nothing.

    Args:
        contributions: of every parameter that has a gradient, each once.
        users: of the micro-batch.

    Guarantees:
        Adds a vector of norm at most `clipping_norm` for each user. Coefficients depend on the
        user's own gradient alone.

    Raises:
        PrivacyError: two contributions belong to one parameter, or the sum has no place for one.
    """
    names = [name for contribution in contributions for name in contribution.names]
    if len(set(names)) < len(names) or not set(names) <= set(total.tensors):
        raise PrivacyError(f"norms of {sorted(names)} for sums of {sorted(total.tensors)}")
    norms = _total([contribution.norms() for contribution in contributions], users)
    finite = norms.isfinite()
    norms = norms.nan_to_num()
    ratio = clipping_norm * (1.0 - MARGIN) / norms.clamp_min(torch.finfo(norms.dtype).tiny)
    coefficients = torch.where(finite, ratio.clamp_max(1.0), 0.0)
    weights = Weights(coefficients, (~finite).nonzero().squeeze(1))
    for contribution in contributions:
        contribution.add_to(total.tensors, weights)
    slope = (clipping_norm * (1.0 + RAMP) - norms) / (2.0 * RAMP * clipping_norm)
    within = float(torch.where(finite, slope.clamp(0.0, 1.0), 0.0).sum())
    return ClippedSum(total.tensors, total.users + users, total.within + within)


def _total(parts: Sequence[Norms], users: int) -> Tensor:
    """Norms over all parameters. float64, (users,).

    Where rounding may hide more than the margin covers, the bound takes the place of the value.
    """
    squared = _sum([part.squared for part in parts], users)
    slack = _sum([part.slack for part in parts if part.slack is not None], users)
    hidden = torch.where(slack > MARGIN * squared, slack, 0.0)
    return (squared + hidden).clamp_min(0.0).sqrt()


def _sum(parts: Sequence[Tensor], users: int) -> Tensor:
    """Of float64, wherever they are. (users,)."""
    if not parts:
        return torch.zeros(users, dtype=torch.float64)
    return torch.stack([part.cpu() for part in parts]).sum(dim=0)


def require_norm(clipping_norm: float) -> None:
    """Refuse a clipping norm that bounds nothing.

    Raises:
        PrivacyError: it is not finite and above 0.
    """
    if not (math.isfinite(clipping_norm) and clipping_norm > 0):
        raise PrivacyError(f"the clipping norm is {clipping_norm}, must be finite and above 0")
