"""Whole private rounds with sample and noise frozen, so that two differ in their users alone."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from planted_histories import histories_of, platform_of

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.privacy.events import Event
from isthmus.privacy.randomness import SecureSource
from isthmus_client.workspace import Workspace

CONFIG = EncoderConfig(content=6, dim=8, layers=1, heads=2, max_events=7)
USERS, ITEMS = 24, 12


class Frozen(SecureSource):
    """The same words whenever as many are asked for: rounds that differ in their users alone."""

    def words(self, count):
        return SecureSource(lambda size: bytes(range(count % 200, count % 200 + size))).words(count)

    def normals(self, count):
        return SecureSource(lambda size: bytes(range(size))).normals(count)


@dataclass(frozen=True)
class Free:
    """A ledger without a budget."""

    def reserve(self, plan, received):
        del received
        return Event(plan.noise_multiplier, plan.sampling_rate)


@cache
def workspace(without=None):
    """Users with one place to learn from, so that nothing but negatives is drawn."""
    random = np.random.default_rng(8)
    users = [[int(i) for i in random.permutation(ITEMS)[:4]] for _ in range(USERS)]
    kept = [items for number, items in enumerate(users) if number != without]
    return Workspace(platform_of(histories_of(*kept), ITEMS), CONFIG.max_events)


@cache
def parameters():
    """Of a later round: the item side is no longer zero."""
    made = initial_encoder(CONFIG, 2)
    values = np.random.default_rng(4).normal(size=(8, 6)).astype(np.float32)
    made.item.weight.data.copy_(made.item.weight.new_tensor(values))
    return split(made)[0]
