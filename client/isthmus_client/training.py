"""The training loop, the same for a round of federation, for training alone and for pooling.

The loss is a sampled softmax over uniform negatives that the batch shares. One user is one example:
the loss of a user is the mean over the user's own positions, so that per-user clipping can follow.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.encoder import SharedEncoder
from isthmus_client.model import Queries, queries
from isthmus_client.sequences import Batch, Ints, Sequences

CandidateLogits = Callable[[Queries, Tensor], Tensor]
"""Scores of candidate items (their catalogue rows) at each position: (positions, candidates)."""


@dataclass(frozen=True)
class Settings:
    """How one stretch of local training runs."""

    batch_size: int = 128  # users a step
    negatives: int = 512  # uniform negatives a batch
    learning_rate: float = 1e-3  # AdamW
    weight_decay: float = 0.0  # AdamW; 0 = off
    proximal: float = 0.0  # pull towards the starting point; 0 = off
    max_steps: int = 0  # steps a stretch; 0 = no limit


def generator(seed: int, *names: object) -> np.random.Generator:
    """A random generator of its own for each purpose, the same in every process."""
    words = [zlib.crc32(repr(name).encode()) for name in names]
    return np.random.default_rng([seed, *words])


def sampled_softmax(
    query: Queries, batch: Batch, negatives: Ints, score: CandidateLogits, paired: CandidateLogits
) -> Tensor:
    """Cross-entropy of each position's target against the shared negatives.

    Args:
        query: queries at the positions that have a target, in row-major order.
        negatives: catalogue rows, shared by all positions. (negatives,)
        score: logits of all candidates for all positions.
        paired: logits of one item for each position, (positions,) for items (positions,).

    Returns:
        The mean over users of the mean over the user's positions; a scalar.
    """
    at = batch.targets >= 0
    target = torch.from_numpy(batch.targets[at])  # (positions,)
    others = torch.from_numpy(negatives)
    right = paired(query, target).unsqueeze(1)  # (positions, 1)
    wrong = score(query, others)  # (positions, negatives)
    wrong = wrong.masked_fill(target.unsqueeze(1) == others, -torch.inf)  # an accidental hit
    zeros = torch.zeros(len(target), dtype=torch.long)
    losses = functional.cross_entropy(torch.cat([right, wrong], dim=1), zeros, reduction="none")
    counts = np.maximum(at.sum(axis=1), 1)
    weights = (1.0 / counts / len(counts))[np.nonzero(at)[0]]
    return losses @ torch.from_numpy(weights.astype(np.float32))


def content_loss(
    shared: SharedEncoder, batch: Batch, content: Tensor, random: np.random.Generator, count: int
) -> Tensor:
    """The federated objective: prior and shared encoder alone, no private parameter."""
    negatives = random.integers(0, len(content), size=count)
    query = queries(shared, batch, content, torch.from_numpy(batch.targets >= 0))

    def score(query: Queries, items: Tensor) -> Tensor:
        candidates = content[items]
        prior = query.prior @ candidates.T
        return shared.scale * prior + query.user @ shared.items(candidates).T

    def paired(query: Queries, items: Tensor) -> Tensor:
        candidates = content[items]
        prior = (query.prior * candidates).sum(dim=1)
        return shared.scale * prior + (query.user * shared.items(candidates)).sum(dim=1)

    return sampled_softmax(query, batch, negatives, score, paired)


def batches(
    users: Ints, settings: Settings, epochs: float, random: np.random.Generator
) -> list[npt.NDArray[np.int64]]:
    """Shuffled users in batches for so many passes; a part of a pass rounds up to a step."""
    passes = [random.permutation(users) for _ in range(int(np.ceil(epochs)))]
    order = np.concatenate(passes)[: max(int(np.ceil(epochs * users.size)), 1)]
    cuts = np.arange(settings.batch_size, order.size, settings.batch_size)
    parts = np.split(order, cuts)
    return parts[: settings.max_steps] if settings.max_steps else parts


SCALE_SPEED = 20.0  # times the learning rate, for the prior's sharpness


def optimiser_for(shared: SharedEncoder, settings: Settings) -> torch.optim.AdamW:
    """AdamW with our settings.

    The sharpness of the prior is one number in the log domain and has a long way to go, from the
    published start to what a platform's loss wants; at the encoder's learning rate the encoder
    would spend the training making up for a prior that is too sharp.
    """
    scale = [shared.log_scale]
    rest = [p for p in shared.parameters() if p is not shared.log_scale]
    groups = [
        {"params": rest, "weight_decay": settings.weight_decay},
        {"params": scale, "weight_decay": 0.0, "lr": SCALE_SPEED * settings.learning_rate},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def train_content(
    shared: SharedEncoder,
    sequences: Sequences,
    content: Tensor,
    parts: list[npt.NDArray[np.int64]],
    *,
    settings: Settings,
    random: np.random.Generator,
    optimiser: torch.optim.Optimizer,
) -> float:
    """Train the shared encoder in place on batches of users; the mean loss of the steps."""
    start = [p.detach().clone() for p in shared.parameters()] if settings.proximal else []
    total = 0.0
    for users in parts:
        batch = sequences.training_batch(users, random)
        loss = content_loss(shared, batch, content, random, settings.negatives)
        optimiser.zero_grad(set_to_none=True)
        (loss + settings.proximal / 2 * distance(shared, start)).backward()  # type: ignore[no-untyped-call]  # torch ships it untyped
        nn.utils.clip_grad_norm_(shared.parameters(), 1.0)
        optimiser.step()
        total += float(loss.detach())
    return total / max(len(parts), 1)


def distance(module: nn.Module, start: list[Tensor]) -> Tensor:
    """Squared Euclidean distance of the parameters from `start`; zero where that is empty."""
    moved = zip(module.parameters(), start, strict=False)
    return torch.stack([torch.zeros(()), *(((p - s) ** 2).sum() for p, s in moved)]).sum()
