"""The federated objective: sampled softmax of prior and shared encoder, no private parameter.

What depends on an item alone is computed once for each different item of the step, not once for
each event: people buy the same things, and a catalogue's adapters are the widest products here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from isthmus.encoder import SharedEncoder
from isthmus_client.model import Queries, decayed_sums
from isthmus_client.sequences import Batch, Ints
from isthmus_client.softmax import Candidates, Offset, fused_softmax


def content_loss(
    shared: SharedEncoder, batch: Batch, content: Tensor, random: np.random.Generator, count: int
) -> Tensor:
    """Mean over users of the mean over the user's positions; a scalar.

    Args:
        content: whitened content vectors of the catalogue, where the encoder is. (items, content)
        random: draws the negatives, uniform over the catalogue and shared by the batch.
        count: of negatives.
    """
    negatives = torch.from_numpy(random.integers(0, len(content), size=count)).to(content.device)
    at = batch.targets >= 0
    targets = batch.targets[at]  # (positions,)
    query = training_queries(shared, batch, content, at)
    right = Distinct.of(targets, content.device)
    target_content = content.index_select(0, right.rows)  # (different targets, content)
    target = functional.embedding(right.place, shared.items(target_content))
    negative_content = content.index_select(0, negatives)
    fixed = (query.prior * target_content.index_select(0, right.place)).sum(dim=1)
    return fused_softmax(
        query.user,
        target,
        shared.items(negative_content),
        Candidates(torch.from_numpy(targets).to(content.device), negatives),
        user_weights(at).to(content),
        offset=Offset(query.prior, negative_content, fixed),
        scale=shared.scale,
    )


def training_queries(
    shared: SharedEncoder, batch: Batch, content: Tensor, at: npt.NDArray[np.bool_]
) -> Queries:
    """As `model.queries`, with every different item embedded once.

    Args:
        at: True where a query is wanted; only positions of events. (users, seq)
    """
    events = Distinct.of(batch.items.clip(min=0), content.device)
    rows = content.index_select(0, events.rows)  # (different items, content)
    embedded = functional.embedding(events.place, shared.event(rows))  # (users, seq, dim)
    behaviours = torch.from_numpy(batch.behaviours).to(content.device)
    gaps = torch.from_numpy(batch.gaps).to(content.device)
    wanted = torch.from_numpy(np.flatnonzero(at)).to(content.device)
    user = shared.attend(embedded, behaviours, gaps).flatten(0, 1)
    # Padding lies behind the events, so no wanted position's sum has any in it.
    history = decayed_sums(functional.embedding(events.place, rows)).flatten(0, 1)
    prior = functional.normalize(history.index_select(0, wanted), dim=1)
    return Queries(prior, functional.embedding(wanted, user))


def user_weights(at: npt.NDArray[np.bool_]) -> Tensor:
    """Weights of the positions that make the mean over users of each user's mean. (positions,).

    Args:
        at: True where a position counts. (users, seq)
    """
    counts = np.maximum(at.sum(axis=1), 1)
    weights = (1.0 / counts / len(counts))[np.nonzero(at)[0]]
    return torch.from_numpy(weights)


@dataclass(frozen=True)
class Distinct:
    """The different items of an array, and where each entry finds its own.

    Attributes:
        rows: catalogue rows, ascending. (different items,)
        place: place in `rows`, in the array's own shape.
    """

    rows: Tensor
    place: Tensor

    @classmethod
    def of(cls, items: Ints, device: torch.device) -> Distinct:
        """The different entries of `items`."""
        rows, place = np.unique(items, return_inverse=True)
        place = place.reshape(items.shape)
        return cls(torch.from_numpy(rows).to(device), torch.from_numpy(place).to(device))
