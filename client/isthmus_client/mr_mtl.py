"""Mean-regularised personalisation: a local encoder that is pulled towards the release.

MR-MTL (Liu et al. 2022, "On Privacy and Personalization in Cross-Silo Federated Learning"): each
platform trains its own encoder with half of lambda times the squared distance to the federation's
added to its loss. Lambda goes from infinity, the release as it is, to zero, fine-tuning without a
rein; each platform takes its own.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from isthmus.encoder import SharedEncoder
from isthmus.progress import Advance
from isthmus_client.computing import stopwatch
from isthmus_client.contender import Contender, Trial, best_trial
from isthmus_client.content_loss import content_loss
from isthmus_client.evaluate import Evaluator
from isthmus_client.local_training import Keeper
from isthmus_client.model import PlatformModel, last_positions, logits, queries
from isthmus_client.personalise import HeadSettings, Personalised, personalise
from isthmus_client.ranking import Scorer, Scores, Window
from isthmus_client.sequences import Ints
from isthmus_client.training import (
    Settings,
    batches,
    bucketed,
    distance,
    generator,
    optimiser_for,
)
from isthmus_client.workspace import Workspace

NAME = "mr_mtl"


@dataclass(frozen=True)
class MrMtlSettings:
    """How an encoder is fitted around a release; weight decay is left to the proximal term.

    Attributes:
        lambdas: tried in this order; infinity = the release as it is.
        epochs: passes over the training users at most, for each lambda.
        patience: passes without a better validation before it stops; 0 = never.
        training: of the encoder; its own `proximal` is not used.
        head: of the private head around the chosen encoder.
    """

    lambdas: tuple[float, ...] = (math.inf, 10.0, 1.0, 0.1, 0.01, 0.0)
    epochs: int = 6
    patience: int = 2
    training: Settings = field(
        default_factory=lambda: Settings(batch_size=64, negatives=256, learning_rate=5e-4)
    )
    head: HeadSettings = field(default_factory=HeadSettings)


@dataclass(frozen=True)
class MrMtl:
    """A platform's own encoder near the release, with a head around it.

    Attributes:
        strength: the lambda chosen.
        encoder: trained with it, at its best validation.
        fitted: the same encoder with its private head.
    """

    contender: Contender
    strength: float
    encoder: SharedEncoder
    fitted: Personalised


def fit_mr_mtl(
    workspace: Workspace,
    release: SharedEncoder,
    settings: MrMtlSettings,
    *,
    seed: int,
    advance: Advance = lambda _: None,
) -> MrMtl:
    """Train an encoder and a head for every lambda, take the best pair for the tuning users.

    Training stops by the encoder's own ranking; lambda is chosen by the ranking with the head, as
    that is what would be served. A lambda whose training never beat its start is the release.

    Args:
        advance: called once for each lambda.

    Guarantees:
        The release given is not touched. Nothing that is fitted here is `Shared`: the encoder has
        been trained without differential privacy and is for serving on this platform alone.
    """
    spent = stopwatch()
    trials: list[Trial] = []
    fits: list[Personalised] = []
    unmoved: Personalised | None = None
    for strength in settings.lambdas:
        lap = stopwatch()
        encoder, moved = _near(workspace, release, strength, settings, seed)
        fitted = None if moved else unmoved
        fitted = fitted or personalise(workspace, encoder, settings.head, seed=seed)
        unmoved = unmoved if moved else fitted
        shown = "infinity" if math.isinf(strength) else strength
        ndcg = fitted.curve[fitted.best].ndcg
        trials.append(Trial({"lambda": shown}, ndcg, lap()))
        fits.append(fitted)
        advance(1)
    chosen = best_trial(tuple(trials))
    seconds, best = spent(), fits[chosen]
    ranked = Contender(NAME, _Model(workspace, best.model), tuple(trials), chosen, seconds)
    return MrMtl(ranked, settings.lambdas[chosen], best.model.shared, best)


@dataclass(frozen=True)
class _Model:
    workspace: Workspace
    model: PlatformModel

    def __call__(self, window: Window) -> Scorer:
        histories = self.workspace.histories_before(window)
        content, everything = self.workspace.content, torch.arange(self.workspace.items)

        def score(users: Ints) -> Scores:
            with torch.no_grad():
                batch = histories.latest(users)
                query = queries(self.model.shared, batch, content, last_positions(batch))
                found = logits(self.model, query, content, everything)
            return np.asarray(found.numpy(), dtype=np.float32)

        return score


def _near(
    workspace: Workspace,
    release: SharedEncoder,
    strength: float,
    settings: MrMtlSettings,
    seed: int,
) -> tuple[SharedEncoder, bool]:
    """The encoder of one lambda at its best validation; whether it is not the release itself."""
    encoder = copy.deepcopy(release).requires_grad_()
    judge = Evaluator(workspace, "validation", "tuning")
    keeper = Keeper(settings.patience)
    keeper.note(0.0, judge.content(encoder).mean_ndcg, encoder.state_dict())
    if not math.isinf(strength) and judge.task.users.size:
        for epoch, _ in enumerate(_passes(workspace, encoder, strength, settings, seed), start=1):
            if keeper.note(float(epoch), judge.content(encoder).mean_ndcg, encoder.state_dict()):
                break
    encoder.load_state_dict(keeper.restore())
    return encoder, keeper.best > 0


def _passes(
    workspace: Workspace,
    encoder: SharedEncoder,
    strength: float,
    settings: MrMtlSettings,
    seed: int,
) -> Iterator[None]:
    """Train in place; yields after every pass. Every lambda sees the same batches."""
    anchor = [parameter.detach().clone() for parameter in encoder.parameters()]
    random = generator(seed, NAME, workspace.platform.name)
    optimiser = optimiser_for(encoder, settings.training)
    users, count = workspace.sequences.training_users, settings.training.negatives
    for _ in range(settings.epochs):
        parts = batches(users, settings.training, 1.0, random)
        for part in bucketed(parts, workspace.sequences.window_lengths, random):
            batch = workspace.sequences.training_batch(part, random).trimmed()
            loss = content_loss(encoder, batch, workspace.content, random, count)
            _step(encoder, loss + strength / 2 * distance(encoder, anchor), optimiser)
        yield


def _step(encoder: nn.Module, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch ships it untyped
    nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
    optimiser.step()
