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
from isthmus_client.evaluate import Evaluator
from isthmus_client.local_training import CurvePoint, Keeper
from isthmus_client.mixing import Mix, search_mix, sure_gain
from isthmus_client.model import PlatformModel, PrivateHead, Queries, logits, paired_logits, queries
from isthmus_client.sequences import Batch
from isthmus_client.training import Settings, batches, generator, sampled_softmax
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
        for part in batches(users, Settings(batch_size=settings.batch_size), 1.0, random):
            batch = workspace.sequences.training_batch(part, random)
            loss = _head_loss(model, batch, workspace.content, random, settings.negatives)
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
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def _head_loss(
    model: PlatformModel, batch: Batch, content: Tensor, random: np.random.Generator, count: int
) -> Tensor:
    """Sampled softmax of the full score, head included; the encoder takes no gradient."""
    negatives = random.integers(0, len(content), size=count)
    with torch.no_grad():
        query = queries(model.shared, batch, content, torch.from_numpy(batch.targets >= 0))

    def score(query: Queries, items: Tensor) -> Tensor:
        return logits(model, query, content[items], items)

    def paired(query: Queries, items: Tensor) -> Tensor:
        return paired_logits(model, query, content[items], items)

    return sampled_softmax(query, batch, negatives, score, paired)
