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

from isthmus.encoder import SharedEncoder
from isthmus_client.model import Queries, decay_in_place
from isthmus_client.sequences import Batch, Ints
from isthmus_client.softmax import Candidates, Offset, fused_softmax

BLOCK = 256  # positions whose content is worked on at once; 0.4 MB stay in a core's cache


def content_loss(
    shared: SharedEncoder,
    batch: Batch,
    content: Tensor,
    random: np.random.Generator,
    count: int,
    *,
    bfloat16: bool = False,
) -> Tensor:
    """Mean over users of the mean over the user's positions; a scalar.

    Args:
        content: whitened content vectors of the catalogue, where the encoder is. (items, content)
        random: draws the negatives, uniform over the catalogue and shared by the batch.
        count: of negatives.
        bfloat16: for the encoder's forward pass; scores, softmax and loss stay as wide as content.
    """
    negatives = torch.from_numpy(random.integers(0, len(content), size=count)).to(content.device)
    at = batch.targets >= 0
    targets = batch.targets[at]  # (positions,)
    query = training_queries(shared, batch, content, at, bfloat16=bfloat16)
    right = Distinct.of(targets, content.device)
    target_content = content.index_select(0, right.rows)  # (different targets, content)
    negative_content = content.index_select(0, negatives)
    fixed = paired_products(query.prior, target_content, right.place)
    return fused_softmax(
        query.user,
        right.spread(shared.items(target_content)),
        shared.items(negative_content),
        Candidates(torch.from_numpy(targets).to(content.device), negatives),
        user_weights(at).to(content),
        offset=Offset(query.prior, negative_content, fixed),
        scale=shared.scale,
    )


def training_queries(
    shared: SharedEncoder,
    batch: Batch,
    content: Tensor,
    at: npt.NDArray[np.bool_],
    *,
    bfloat16: bool = False,
) -> Queries:
    """As `model.queries`, with every different item embedded once.

    Args:
        at: True where a query is wanted; only positions of events. (users, seq)
        bfloat16: for the matrix products and the attention of `f`; PyTorch's autocast.
    """
    events = Distinct.of(batch.items.clip(min=0), content.device)
    rows = content.index_select(0, events.rows)  # (different items, content)
    behaviours = torch.from_numpy(batch.behaviours).to(content.device)
    gaps = torch.from_numpy(batch.gaps).to(content.device)
    wanted = torch.from_numpy(np.flatnonzero(at)).to(content.device)
    with torch.autocast(content.device.type, torch.bfloat16, enabled=bfloat16):
        embedded = events.spread(shared.events(rows))  # (users, seq, dim)
        user = shared.attend(embedded, behaviours, gaps).flatten(0, 1).to(content)
    # Padding lies behind the events, so no wanted position's sum has any in it.
    history = decay_in_place(events.spread(rows)).flatten(0, 1)
    prior = _unit_in_place(history.index_select(0, wanted))
    return Queries(prior, user.index_select(0, wanted))


def _unit_in_place(rows: Tensor) -> Tensor:
    """Rows scaled to length one, as `functional.normalize` does. (positions, content)."""
    for block in torch.split(rows, BLOCK):
        block.div_(torch.linalg.vector_norm(block, dim=1, keepdim=True).clamp_min_(1e-12))
    return rows


def paired_products(prior: Tensor, rows: Tensor, place: Tensor) -> Tensor:
    """Products of each position's prior query and one item's content. (positions,).

    Args:
        prior: (positions, content)
        rows: content vectors of items. (items, content)
        place: of each position's item in `rows`. (positions,)
    """
    pairs = zip(torch.split(prior, BLOCK), torch.split(place, BLOCK), strict=True)
    return torch.cat([(query * rows.index_select(0, at)).sum(dim=1) for query, at in pairs])


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

    def spread(self, table: Tensor) -> Tensor:
        """Each entry's row of a table of the different items. (*shape of `place`, width).

        Its gradient is one scattered sum, half the time of an embedding's.

        Args:
            table: (different items, width)
        """
        return table.index_select(0, self.place.flatten()).view(*self.place.shape, table.shape[1])
