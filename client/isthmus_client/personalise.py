"""What a platform fits at home after a release: bias, mixing weights, item residuals.

The encoder stays as released, so what is fitted here can be as private as the platform likes.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.encoder import SharedEncoder
from isthmus_client.content_loss import (
    Distinct,
    paired_products,
    training_queries,
    user_weights,
)
from isthmus_client.evaluate import Evaluator
from isthmus_client.local_training import CurvePoint, Keeper
from isthmus_client.mixing import Mix, search_mix, sure_gain
from isthmus_client.model import PlatformModel, PrivateHead
from isthmus_client.sequences import Batch
from isthmus_client.softmax import Candidates, Offset, fused_softmax
from isthmus_client.training import Settings, batches, bucketed, generator
from isthmus_client.workspace import Workspace


@dataclass(frozen=True)
class HeadSettings:
    """How the private head is fitted."""

    epochs: int = 8  # passes over the training users at most
    patience: int = 3  # passes without a better validation before it stops; 0 = never
    batch_size: int = 64  # users a step
    negatives: int = 512  # uniform negatives a batch
    learning_rate: float = 3e-4  # AdamW
    residual_decay: float = 0.1  # AdamW weight decay of the item residuals alone


@dataclass(frozen=True)
class Personalised:
    """A platform's own model around a released encoder."""

    model: PlatformModel
    mix: Mix
    curve: tuple[CurvePoint, ...]
    best: int  # place in the curve


def personalise(
    workspace: Workspace, encoder: SharedEncoder, settings: HeadSettings, *, seed: int
) -> Personalised:
    """Fit the private head around an encoder that stays as it is.

    First the mixing weights are searched on the tuning users, with log-popularity as the bias;
    then bias, weights and item residuals are trained from there, stopped by the same users. Either
    is kept only for what it surely adds, so that a handful of users cannot argue a release away.

    Guarantees:
        The encoder given is not touched; the model's copy of it is not changed and takes no
        gradient.
    """
    frozen = copy.deepcopy(encoder).requires_grad_(requires_grad=False)
    model = PlatformModel(frozen, PrivateHead(workspace.items, encoder.config.dim))
    evaluator = Evaluator(workspace, "validation", purpose="tuning")
    bias = log_popularity(workspace)
    mix = search_mix(evaluator.parts(model.shared), evaluator.task, bias.numpy())
    mix.apply(model.private, bias)
    keeper = Keeper(settings.patience)
    start = evaluator.model(model)
    keeper.note(0.0, start.mean_ndcg, model.private.state_dict(), judged=0.0)
    if evaluator.task.users.size:
        _fit(model, workspace, evaluator, settings, keeper, start.ndcg, seed)
    model.private.load_state_dict(keeper.restore())
    return Personalised(model, mix, tuple(keeper.curve), keeper.best)


def log_popularity(workspace: Workspace) -> Tensor:
    """Centred log of each item's training users plus one. (items,)."""
    popular = np.log1p(np.bincount(workspace.counts.indices, minlength=workspace.items))
    return torch.from_numpy((popular - popular.mean()).astype(np.float32))


def _fit(
    model: PlatformModel,
    workspace: Workspace,
    evaluator: Evaluator,
    settings: HeadSettings,
    keeper: Keeper,
    start: npt.NDArray[np.float64],
    seed: int,
) -> None:
    """Train the head, noting every pass; a pass is kept for what it surely adds to the start."""
    random = generator(seed, "head", workspace.platform.name)
    users = workspace.sequences.training_users
    optimiser = _optimiser(model.private, settings)
    for epoch in range(1, settings.epochs + 1):
        parts = batches(users, Settings(batch_size=settings.batch_size), 1.0, random)
        for part in bucketed(parts, workspace.sequences.window_lengths, random):
            batch = workspace.sequences.training_batch(part, random).trimmed()
            loss = head_loss(model, batch, workspace.content, random, settings.negatives)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch ships it untyped
            optimiser.step()
        ranking = evaluator.model(model)
        gain = sure_gain(ranking.ndcg, start)
        state = model.private.state_dict()
        if keeper.note(float(epoch), ranking.mean_ndcg, state, judged=gain):
            return


def _optimiser(head: PrivateHead, settings: HeadSettings) -> torch.optim.AdamW:
    """AdamW that decays the wide table alone."""
    narrow = [head.bias, head.prior_weight, head.content_weight]
    groups = [
        {"params": narrow, "weight_decay": 0.0},
        {"params": [head.residual], "weight_decay": settings.residual_decay},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def head_loss(
    model: PlatformModel, batch: Batch, content: Tensor, random: np.random.Generator, count: int
) -> Tensor:
    """Sampled softmax of the full score, head included; the encoder takes no gradient.

    Every different candidate is looked up once; a bias is one more column of its row, against a
    one in every query.

    Args:
        content: whitened content vectors of the catalogue, where the model is. (items, content)
        random: draws the negatives, uniform over the catalogue and shared by the batch.
        count: of negatives.
    """
    at = batch.targets >= 0
    targets = batch.targets[at]  # (positions,)
    wanted = np.concatenate([targets, random.integers(0, len(content), size=count)])
    items = Distinct.of(wanted, content.device)
    rows = content.index_select(0, items.rows)  # (different items, content)
    table = items.spread(_table(model, rows, items.rows))
    right, wrong = torch.split(table, [targets.size, count])
    with torch.no_grad():
        query = training_queries(model.shared, batch, content, at)
        place, drawn = torch.split(items.place, [targets.size, count])
        fixed = paired_products(query.prior, rows, place)
        offset = Offset(query.prior, rows.index_select(0, drawn), fixed)
        user = torch.cat([query.user, torch.ones_like(query.user[:, :1])], dim=1)
    return fused_softmax(
        user,
        right,
        wrong,
        Candidates(place, drawn),  # places tell items apart as rows of the catalogue do
        user_weights(at).to(content),
        offset=offset,
        scale=model.shared.scale.detach() * model.private.prior_weight,
    )


def _table(model: PlatformModel, rows: Tensor, items: Tensor) -> Tensor:
    """What a query is multiplied with for each item, the bias last. (items, dim + 1)."""
    head = model.private
    with torch.no_grad():
        learned = model.shared.items(rows)
    table = head.content_weight * learned + head.residual.index_select(0, items)
    return torch.cat([table, head.bias.index_select(0, items).unsqueeze(1)], dim=1)
