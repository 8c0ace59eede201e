"""The training loop, the same for a round of federation, for training alone and for pooling.

The loss is a sampled softmax over uniform negatives that the batch shares. One user is one example:
the loss of a user is the mean over the user's own positions, so that per-user clipping can follow.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from isthmus.encoder import SharedEncoder
from isthmus_client.content_loss import content_loss
from isthmus_client.sequences import Ints, Sequences


@dataclass(frozen=True)
class Settings:
    """How one stretch of local training runs."""

    batch_size: int = 128  # users a step
    negatives: int = 512  # uniform negatives a batch
    learning_rate: float = 1e-3  # AdamW
    weight_decay: float = 0.0  # AdamW; 0 = off
    proximal: float = 0.0  # pull towards the starting point; 0 = off
    max_steps: int = 0  # steps a stretch; 0 = no limit
    bfloat16: bool = False  # the encoder's forward pass; on a CPU it was slower


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for each PyTorch operation inside; the former number afterwards.

    The number belongs to the whole process. One thread serves best where several platforms work in
    parallel, and keeps the order of every sum.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def generator(seed: int, *names: object) -> np.random.Generator:
    """A random generator of its own for each purpose, the same in every process."""
    words = [zlib.crc32(repr(name).encode()) for name in names]
    return np.random.default_rng([seed, *words])


def batches(
    users: Ints, settings: Settings, epochs: float, random: np.random.Generator
) -> list[npt.NDArray[np.int64]]:
    """Shuffled users in batches for so many passes; a part of a pass rounds up to a step.

    Without users there is no batch.
    """
    if not users.size:
        return []
    passes = [random.permutation(users) for _ in range(int(np.ceil(epochs)))]
    order = np.concatenate(passes)[: int(np.ceil(epochs * users.size))]
    cuts = np.arange(settings.batch_size, order.size, settings.batch_size)
    parts = np.split(order, cuts)
    return parts[: settings.max_steps] if settings.max_steps else parts


POOL = 32  # batches that are sorted together; many, so that a batch holds equal lengths


def bucketed(
    parts: list[npt.NDArray[np.int64]],
    lengths: Callable[[Ints], Ints],
    random: np.random.Generator,
) -> list[npt.NDArray[np.int64]]:
    """The same users in as many batches of the same sizes, those of similar length together.

    A step costs what its longest history costs. The users of `POOL` consecutive batches are sorted
    by length, ties in their shuffled order, and dealt out anew; then the pool's batches are
    shuffled. Who is in a pass stays, and in expectation over the shuffles so does the gradient of
    a pass: every user keeps the weight of one example. A batch of another size (the rest of a
    pass) stays as drawn, so that its heavier weight falls on users of any length.

    Args:
        parts: from `batches`.
        lengths: events in each user's window, (users,) for users (users,).
    """
    if not parts:
        return []
    size = parts[0].size
    a_pass = np.unique(np.concatenate(parts)).size // size  # a pool with a user twice gains nothing
    pool_size = max(min(POOL, a_pass), 1)
    dealt: list[npt.NDArray[np.int64]] = []
    for start in range(0, len(parts), pool_size):
        pool = parts[start : start + pool_size]
        full = [part for part in pool if part.size == size]
        mixed = [*_by_length(full, lengths), *pool[len(full) :]]
        dealt += [mixed[place] for place in random.permutation(len(mixed))]
    return dealt


def _by_length(
    full: list[npt.NDArray[np.int64]], lengths: Callable[[Ints], Ints]
) -> list[npt.NDArray[np.int64]]:
    """Batches of one size, their users sorted by length and dealt out anew."""
    if not full:
        return []
    users = np.concatenate(full)
    return np.split(users[np.argsort(lengths(users), kind="stable")], len(full))


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
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


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
    """Train the shared encoder in place on batches of users; the mean loss of the steps.

    All work is done on the device where the encoder's parameters are.
    """
    content = content.to(shared.log_scale.device)
    start = [p.detach().clone() for p in shared.parameters()] if settings.proximal else []
    losses = [torch.zeros((), device="cpu")]
    for users in bucketed(parts, sequences.window_lengths, random):
        batch = sequences.training_batch(users, random).trimmed()
        loss = content_loss(
            shared, batch, content, random, settings.negatives, bfloat16=settings.bfloat16
        )
        optimiser.zero_grad(set_to_none=True)
        (loss + settings.proximal / 2 * distance(shared, start)).backward()  # type: ignore[no-untyped-call]  # torch ships it untyped
        nn.utils.clip_grad_norm_(shared.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.detach().cpu())
    return float(torch.stack(losses).sum()) / max(len(parts), 1)


def distance(module: nn.Module, start: list[Tensor]) -> Tensor:
    """Squared Euclidean distance of the parameters from `start`; zero where that is empty."""
    moved = [((p - s) ** 2).sum() for p, s in zip(module.parameters(), start, strict=False)]
    return torch.stack(moved).sum() if moved else torch.zeros((), device="cpu")
