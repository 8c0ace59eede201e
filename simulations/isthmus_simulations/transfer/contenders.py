"""Models of the benchmark that are made of a trained encoder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from isthmus.encoder import SharedEncoder
from isthmus_client.contender import Contender
from isthmus_client.model import (
    Queries,
    content_logits,
    last_positions,
    logits,
    queries,
)
from isthmus_client.personalise import Personalised
from isthmus_client.ranking import Scorer, Scores, Window
from isthmus_client.sequences import Ints
from isthmus_client.workspace import Workspace


def content_contender(name: str, workspace: Workspace, shared: SharedEncoder) -> Contender:
    """An encoder as it is: prior and content part, nothing of the platform's own."""

    def score(query: Queries) -> torch.Tensor:
        return content_logits(shared, query, workspace.content)

    return Contender(name, _scorer(workspace, shared, score))


def headed_contender(name: str, workspace: Workspace, fitted: Personalised) -> Contender:
    """An encoder with the private head that the platform fitted around it."""
    everything = torch.arange(workspace.items)
    model = fitted.model

    def score(query: Queries) -> torch.Tensor:
        return logits(model, query, workspace.content, everything)

    seconds = fitted.curve[-1].seconds
    return Contender(name, _scorer(workspace, model.shared, score), seconds=seconds)


def _scorer(
    workspace: Workspace, shared: SharedEncoder, score: Callable[[Queries], torch.Tensor]
) -> Callable[[Window], Scorer]:
    """Scores from each user's latest events before the window."""

    def of(window: Window) -> Scorer:
        histories = workspace.histories_before(window)

        def scores(users: Ints) -> Scores:
            with torch.no_grad():
                batch = histories.latest(users)
                query = queries(shared, batch, workspace.content, last_positions(batch))
                return np.asarray(score(query).numpy(), dtype=np.float32)

        return scores

    return of
