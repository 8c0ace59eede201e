"""The id-only baseline that nobody can call weak: SASRec with sampled softmax.

A plain SASRec with this loss beats most of what was published after it (Klenitskiy and Vasilev
2023; "eSASRec", RecSys 2025), so whoever gains over it has gained something. Ids do not transfer:
nothing of this model is ever shared.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from isthmus.progress import Advance
from isthmus_client.computing import stopwatch
from isthmus_client.contender import Contender, Trial
from isthmus_client.evaluate import Evaluator
from isthmus_client.local_training import Keeper
from isthmus_client.model import last_positions
from isthmus_client.ranking import Scorer, Scores, Window
from isthmus_client.sasrec_model import Dropout, SasRecModel, initial_sasrec
from isthmus_client.sequences import Batch, Ints, Targets
from isthmus_client.softmax import Candidates, fused_softmax
from isthmus_client.training import Settings, batches, bucketed, generator
from isthmus_client.workspace import Workspace


@dataclass(frozen=True)
class SasRecSettings:
    """Shape and training of the model, chosen on validation users.

    Leave-one-out, full ranking, masked histories, one seed, the defaults give NDCG@10 of 0.0535
    on Beauty, 0.0293 on Sports and 0.0581 on Toys; published are 0.0531, 0.0314 and 0.0580.
    """

    dim: int = 64
    blocks: int = 1
    heads: int = 1
    dropout: float = 0.5  # share of entries; 0 = off
    negatives: int = 2048  # uniform, shared by a step; the whole catalogue where it is smaller
    learning_rate: float = 1e-3  # AdamW
    item_speed: float = 10.0  # times the learning rate, for the item table
    item_decay: float = 0.0  # AdamW weight decay of the item table alone; 0 = off
    averaging: float = 0.995  # what is ranked is a moving average over the steps; 0 = the last one
    batch_size: int = 128  # users a step
    epochs: int = 60  # passes over the training users at most
    patience: int = 4  # validations without a better one before it stops; 0 = never
    validate_every: int = 2  # passes
    targets: Targets = "next"


def fit_sasrec(
    workspace: Workspace,
    settings: SasRecSettings,
    *,
    seed: int,
    advance: Advance = lambda _: None,
    device: str = "cpu",
) -> Contender:
    """Train on the platform's own ids, stopped by its tuning users.

    Args:
        advance: told of every pass; one that stops early tells of the passes it saves.
        device: where to train and to score, as PyTorch names it.

    Returns:
        A contender whose scorer puts items that no training user met last, all equal: an embedding
        that was never a target holds its random start and what negatives pushed it to.
    """
    spent = stopwatch()
    training = SasRecTraining(workspace, settings, seed=seed, device=device)
    model, users = training.averaged, workspace.sequences.training_users
    evaluator = Evaluator(workspace, "validation", purpose="tuning")
    keeper = Keeper(settings.patience)
    for epoch in range(1, settings.epochs + 1):
        training.one_pass(users)
        advance(1)
        if epoch % settings.validate_every and epoch < settings.epochs:
            continue
        ndcg = evaluator.scorer(scorer(model, workspace, "validation")).mean_ndcg
        if keeper.note(float(epoch), ndcg, model.state_dict()):
            advance(settings.epochs - epoch)
            break
    model.load_state_dict(keeper.restore())
    best = keeper.curve[keeper.best]
    seconds = spent()
    trial = Trial({**asdict(settings), "best_epoch": best.step}, best.ndcg, seconds)
    return Contender(
        "sasrec", lambda window: scorer(model, workspace, window), (trial,), 0, seconds
    )


class SasRecTraining:
    """A model, its optimiser and its randomness.

    The published model draws 256 negatives for each position, so that every item is pushed in every
    step. Shared by a step, 256 are too few: validation NDCG@10 on Beauty stops at 0.055, with 2048
    it reaches 0.063, and the one matrix product costs far less than negatives of one's own.
    Single items are met a few times in a pass, so their embeddings learn at a rate of their own,
    and the noise of that is averaged out (Polyak and Juditsky 1992, with exponential weights).

    Attributes:
        model: changed in place by every step.
        averaged: the moving average of `model` over the steps, for ranking.
    """

    def __init__(
        self, workspace: Workspace, settings: SasRecSettings, *, seed: int, device: str = "cpu"
    ) -> None:
        self._sequences, self._items, self._settings = (
            workspace.sequences,
            workspace.items,
            settings,
        )
        self.model = initial_sasrec(
            workspace.items,
            dim=settings.dim,
            blocks=settings.blocks,
            heads=settings.heads,
            max_events=workspace.max_events,
            seed=seed,
        ).to(device)
        able = workspace.sequences.training_users
        self._positions = float(workspace.sequences.window_lengths(able).mean())
        self._random = generator(seed, "sasrec", workspace.platform.name)
        self._drop = Dropout(settings.dropout, self._random)
        self._optimiser = _optimiser(self.model, settings)
        self.averaged = copy.deepcopy(self.model).requires_grad_(requires_grad=False)
        self._steps = 0

    def one_pass(self, users: Ints) -> None:
        """Every user once."""
        size = Settings(batch_size=self._settings.batch_size)
        parts = batches(users, size, 1.0, self._random)
        for part in bucketed(parts, self._sequences.window_lengths, self._random):
            self._step(part)

    def _step(self, users: Ints) -> None:
        targets = self._settings.targets
        batch = self._sequences.training_batch(users, self._random, targets=targets).trimmed()
        negatives = self._negatives()
        # Not the batch's own count: in a bucket of short histories a position would weigh more.
        usual = users.size * self._positions
        loss = sasrec_loss(self.model, batch, negatives, drop=self._drop, positions=usual)
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch ships it untyped
        self._optimiser.step()
        self._average()

    def _negatives(self) -> Ints:
        """The step's negatives; with the whole catalogue the loss is the plain softmax."""
        if self._items <= self._settings.negatives:
            return np.arange(self._items)
        return self._random.integers(0, self._items, size=self._settings.negatives)

    def _average(self) -> None:
        """Move the average; early on it looks back over a tenth of the steps so far."""
        self._steps += 1
        kept = min(self._settings.averaging, self._steps / (self._steps + 10))
        pairs = zip(self.averaged.parameters(), self.model.parameters(), strict=True)
        with torch.no_grad():
            for average, now in pairs:
                average.lerp_(now, 1.0 - kept)


def _optimiser(model: SasRecModel, settings: SasRecSettings) -> torch.optim.AdamW:
    """AdamW with a faster, decaying item table."""
    table = model.item.weight
    groups: list[dict[str, Any]] = [
        {"params": [p for p in model.parameters() if p is not table], "weight_decay": 0.0},
        {
            "params": [table],
            "lr": settings.item_speed * settings.learning_rate,
            "weight_decay": settings.item_decay,
        },
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def sasrec_loss(
    model: SasRecModel,
    batch: Batch,
    negatives: Ints,
    *,
    positions: float,
    drop: Dropout | None = None,
) -> Tensor:
    """Sampled softmax at every position that has a target, each of equal weight; a scalar.

    Args:
        negatives: catalogue rows. (negatives,)
        positions: what the sum over positions is divided by.
    """
    device = model.item.weight.device
    at = batch.targets >= 0
    items, targets = np.maximum(batch.items, 0).ravel(), batch.targets[at]
    rows = torch.from_numpy(np.concatenate([items, targets, negatives])).to(device)
    table = model.item(rows)  # one gather, and so one scatter in the backward pass
    inputs, right, wrong = table.split([items.size, targets.size, negatives.size])
    hidden = model(inputs.view(*batch.items.shape, -1), drop)  # (users, seq, dim)
    query = hidden[torch.from_numpy(at).to(device)]  # (positions, dim)
    drawn = Candidates(rows[items.size : items.size + targets.size], rows[-negatives.size :])
    weight = query.new_full((targets.size,), 1.0 / positions)
    return fused_softmax(query, right, wrong, drawn, weight)


def scorer(model: SasRecModel, workspace: Workspace, window: Window) -> Scorer:
    """Scores of users known by all that came before a window."""
    histories = workspace.histories_before(window)
    met = np.asarray(workspace.counts.sum(axis=0)).ravel() > 0  # (items,)

    def score(users: Ints) -> Scores:
        batch = histories.latest(users)
        device = model.item.weight.device
        with torch.no_grad():
            items = torch.from_numpy(np.maximum(batch.items, 0)).to(device)
            query = model(model.item(items))[last_positions(batch).to(device)]
            scores = (query @ model.item.weight.T).cpu().numpy()
        return _last(scores, ~met)

    return score


def _last(scores: Scores, unmet: npt.NDArray[np.bool_]) -> Scores:
    """Unmet items below all others, as equals. (users, items)."""
    if unmet.any():
        scores[:, unmet] = scores.min(axis=1, keepdims=True) - 1.0
    return scores
