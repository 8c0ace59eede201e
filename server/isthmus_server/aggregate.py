"""The mean of the platforms' updates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isthmus.errors import FederationError
from isthmus.messages import Update
from isthmus.parameters import Shared, Tensor


def weighted_mean(updates: Sequence[Update]) -> Shared:
    """The mean of the deltas, weighted by users (McMahan et al. 2017, FedAvg).

    Summed in float64 in the order of the platforms' names, so that the order of arrival cannot
    change a bit of the result.

    Raises:
        FederationError: there is no update.
        MessageRefusedError: two updates differ in names or shapes.
    """
    if not updates:
        raise FederationError("there is no update to average")
    ordered = sorted(updates, key=lambda update: update.platform)
    for update in ordered[1:]:
        update.delta.require_like(ordered[0].delta)
    return Shared({name: _mean_tensor(name, ordered) for name in ordered[0].delta.tensors})


def _mean_tensor(name: str, updates: Sequence[Update]) -> Tensor:
    total = np.zeros(updates[0].delta.tensors[name].shape, np.float64)
    for update in updates:
        total += update.delta.tensors[name].astype(np.float64) * update.users
    total /= sum(update.users for update in updates)
    return total.astype(np.float32)
