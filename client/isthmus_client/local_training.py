"""Training the same model alone: the baseline that a federation has to beat.

It gets the federation's objective, settings and budget of passes, an optimiser that lives through
all of them, and its own early stopping.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

from torch import Tensor

from isthmus.encoder import EncoderConfig, SharedEncoder, initial_encoder
from isthmus.progress import Advance
from isthmus_client.computing import stopwatch
from isthmus_client.evaluate import Evaluator
from isthmus_client.training import Settings, batches, generator, optimiser_for, train_content
from isthmus_client.workspace import Workspace


@dataclass(frozen=True)
class CurvePoint:
    """Validation quality after some passes over the training users."""

    step: float
    seconds: float  # since training began, validation included
    ndcg: float | None  # None where nobody can be validated


@dataclass(frozen=True)
class LocalRun:
    """An encoder that one platform trained, at its best validation."""

    encoder: SharedEncoder
    curve: tuple[CurvePoint, ...]
    best: int  # place in the curve


class Keeper:
    """Remembers the best state seen and says when to stop."""

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._spent = stopwatch()
        self._state: dict[str, Tensor] | None = None
        self._score = -math.inf
        self.curve: list[CurvePoint] = []
        self.best = 0

    def note(
        self,
        step: float,
        score: float | None,
        state: dict[str, Tensor],
        *,
        judged: float | None = None,
    ) -> bool:
        """Take down a score; whether `patience` scores have passed since the best one.

        Args:
            judged: what "best" goes by, where that is not the score itself.
        """
        self.curve.append(CurvePoint(step, self._spent(), score))
        value = score if judged is None else judged
        if self._state is None or value is None or value > self._score:
            self._score = -math.inf if value is None else value
            self._state = copy.deepcopy(state)
            self.best = len(self.curve) - 1
        return bool(self._patience) and len(self.curve) - 1 - self.best >= self._patience

    def restore(self) -> dict[str, Tensor]:
        """The best state."""
        assert self._state is not None, "nothing was noted"
        return self._state


def train_alone(
    workspace: Workspace,
    config: EncoderConfig,
    settings: Settings,
    *,
    epochs: int,
    patience: int,
    seed: int,
    advance: Advance = lambda _: None,
    device: str = "cpu",
) -> LocalRun:
    """Train the content part on one platform's own users.

    Args:
        epochs: passes over the training users at most: the federation's rounds times its passes.
        patience: passes without a better validation before it stops; 0 = never.
        seed: of the run; the initial encoder is the federation's own.
        device: where to train, as PyTorch names it; validation stays on the CPU.
    """
    shared = initial_encoder(config, seed)
    evaluator = Evaluator(workspace, "validation", purpose="tuning")
    keeper, optimiser = Keeper(patience), optimiser_for(shared, settings)
    random = generator(seed, "alone", workspace.platform.name)
    users = workspace.sequences.training_users
    keeper.note(0.0, evaluator.content(shared).mean_ndcg, shared.state_dict())
    content = workspace.content.to(device)
    for epoch in range(1, epochs + 1):
        train_content(
            shared.to(device),
            workspace.sequences,
            content,
            batches(users, settings, 1.0, random),
            settings=settings,
            random=random,
            optimiser=optimiser,
        )
        score = evaluator.content(shared.cpu()).mean_ndcg
        advance(1)
        if keeper.note(float(epoch), score, shared.state_dict()):
            break
    shared.load_state_dict(keeper.restore())
    return LocalRun(shared, tuple(keeper.curve), keeper.best)
