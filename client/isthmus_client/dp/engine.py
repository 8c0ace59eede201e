"""The clipped sum of per-user gradients, by book-keeping.

For each micro-batch: one forward pass, one backward pass through activations only, every layer's
per-user norm, and one clipped weighted product (Bu et al. 2023, arXiv 2210.00038; research on this
encoder's shape stands in docs/privacy-engine.md). No batch of per-user gradients of the whole model
is ever built, and memory does not grow with the number of users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.encoder import SharedEncoder
from isthmus.errors import PrivacyError
from isthmus_client.content_loss import Distinct
from isthmus_client.dp.clipping import ClippedSum, add_clipped, require_norm, zero_sum
from isthmus_client.dp.contributions import (
    Contribution,
    Kept,
    SharedRows,
    inner,
    keeps,
    linear,
)
from isthmus_client.dp.item_side import ItemSide, Negatives, Positions, Sweep
from isthmus_client.dp.tape import recorded
from isthmus_client.model import decay_in_place
from isthmus_client.sequences import Batch

PAGES = 31 * 2**20  # bytes; glibc learns from blocks below 32 MiB
WIDTHS = (torch.float32, torch.float64)


def clipped_sum(
    encoder: SharedEncoder,
    batches: Iterable[Batch],
    content: Tensor,
    negatives: Tensor,
    clipping_norm: float,
) -> ClippedSum:
    """Sum over users of their clipped gradients of the content loss.

    A user's loss is the mean over the user's own positions of `content_loss`'s sampled softmax: no
    private parameter, no other user and no number of users is in it.

    Args:
        batches: micro-batches of users, about 64 of similar length each; none is fine.
        content: whitened content vectors of the catalogue, where the encoder is. (items, content)
        negatives: catalogue rows drawn uniformly, shared by all users of the step. (rows,)
        clipping_norm: C, over all trainable parameters together; fixed before the data is seen.

    Guarantees:
        Adding or removing one user (one row of one micro-batch) moves the result by at most
        `clipping_norm`, whatever the user's data; a user whose gradient is not finite contributes
        zeros. It is not private by itself: noise has to follow. Every trainable parameter that has
        a gradient is in each user's norm, or `PrivacyError` is raised.

    Raises:
        PrivacyError: the bound could not be kept; names the parameter or the value.
    """
    require_norm(clipping_norm)
    _require_wide(encoder)
    total = zero_sum(encoder)
    _keep_freed_pages()
    with torch.autocast(content.device.type, enabled=False):
        step = _ContentStep(encoder, content, negatives)
        for batch in batches:
            users = len(batch.items)
            if users:
                total = add_clipped(total, step.contributions(batch), users, clipping_norm)
    return total


def clipped_sum_of(
    module: nn.Module,
    micro_batches: Iterable[tuple[int, Callable[[], Tensor]]],
    clipping_norm: float,
) -> ClippedSum:
    """As `clipped_sum`, for any module made of the layers in `layers.RULES`.

    Args:
        micro_batches: number of users, and a function that gives their losses (users,). Each loss
            must be a function of its own user's data and the parameters alone.

    Raises:
        PrivacyError: the bound could not be kept; names the parameter or the value.
    """
    require_norm(clipping_norm)
    _require_wide(module)
    total = zero_sum(module)
    _keep_freed_pages()
    for users, losses in micro_batches:
        if not users:
            continue
        with recorded(module, users) as tape:
            found = losses()
        contributions = tape.backward([found], [torch.ones_like(found)])
        total = add_clipped(total, contributions, users, clipping_norm)
        del found, contributions, tape  # before the next micro-batch needs the memory
    return total


def _keep_freed_pages() -> None:
    """Teach glibc's allocator to keep freed pages, up to twice this size, for what comes next.

    Else it gives them back and clears new ones in every micro-batch, which costs more than the
    products. The block is freed at once and never touched.
    """
    torch.empty(PAGES, dtype=torch.uint8)


def _require_wide(module: nn.Module) -> None:
    """Narrow floats round a norm by more than the margin."""
    odd = {p.dtype for p in module.parameters() if p.requires_grad} - set(WIDTHS)
    if odd:
        raise PrivacyError(f"parameters are {odd}: norms need float32 or wider")


class _ContentStep:
    """What the micro-batches of one step share."""

    def __init__(self, encoder: SharedEncoder, content: Tensor, negatives: Tensor) -> None:
        self._encoder, self._content = encoder, content
        with torch.no_grad():
            weight, scale = encoder.item.weight.detach(), encoder.scale.detach()
            self._sweep = Sweep(weight, scale, content, Negatives.of(negatives, content))

    def contributions(self, batch: Batch) -> list[Contribution]:
        """Per-user gradients of one micro-batch."""
        encoder, device = self._encoder, self._content.device
        events = Distinct.of(batch.items.clip(min=0), device)
        rows = self._content[events.rows]  # (different items, content)
        spread = events.spread(rows)  # (users, seq, content)
        read = rows[:, : encoder.config.read]
        signals: list[Tensor] = []
        with recorded(encoder, len(batch.items)) as tape:
            with torch.no_grad():
                embedded = events.spread(encoder.event.forward(read))
            behaviours = torch.from_numpy(batch.behaviours).to(device)
            gaps = torch.from_numpy(batch.gaps).to(device)
            user = encoder.attend(tape.tap(embedded, signals.append), behaviours, gaps)
        positions = _positions(batch, self._content)
        flat = user.flatten(0, 1)
        query = flat.index_select(0, positions.place)
        history = decay_in_place(spread).flatten(0, 1)
        with torch.no_grad():
            side = self._sweep(query.detach(), history, positions)
        del spread, history  # the widest, before the backward pass
        found = tape.backward([query], [side.query])
        found += self._events(signals.pop(), read, events)
        return found + self._items(user.detach(), positions.place, side)

    def _events(self, signal: Tensor, rows: Tensor, events: Distinct) -> list[Contribution]:
        """Per-user gradients of the event adapter, which embeds every different item once.

        Args:
            signal: (users, seq, dim)
            rows: what the adapter reads of the different items. (different items, read)
        """
        trained = self._trained("event.weight", "event.bias")
        if "event.weight" not in trained:
            return [Kept(bias, signal.sum(dim=1)) for bias in trained]
        given = events.spread(rows)
        _, seq, out = signal.shape
        if keeps(seq, out, given.shape[2]):
            return linear(trained, signal, given)
        return [SharedRows(trained, signal, inner(given), rows, events.place)]

    def _items(self, user: Tensor, place: Tensor, side: ItemSide) -> list[Contribution]:
        """Per-user gradients of the item adapter and of the prior's sharpness.

        Args:
            user: representations. (users, seq, dim)
            place: of the positions that have targets, among all. (positions,)
        """
        found: list[Contribution] = []
        if trained := self._trained("item.weight"):
            found += linear(trained, user, side.pull.view(*user.shape[:2], -1))
        if self._trained("log_scale"):
            scale = side.scale.new_zeros(len(side.pull)).index_copy_(0, place, side.scale)
            found.append(Kept("log_scale", scale.view(user.shape[:2]).sum(dim=1, keepdim=True)))
        return found

    def _trained(self, *names: str) -> tuple[str, ...]:
        return tuple(n for n in names if self._encoder.get_parameter(n).requires_grad)


def _positions(batch: Batch, content: Tensor) -> Positions:
    """Where the batch has targets, and each one's weight in its user's mean."""
    at = batch.targets >= 0
    weights = 1.0 / np.maximum(at.sum(axis=1), 1)
    return Positions(
        torch.from_numpy(np.flatnonzero(at)).to(content.device),
        torch.from_numpy(batch.targets[at]).to(content.device),
        torch.from_numpy(weights[np.nonzero(at)[0]]).to(content),
    )
