"""Platforms whose users follow one planted rule in content space, which text similarity misses.

All platforms share cluster centres and one cycle through the clusters: after a basket from a
cluster comes a basket from the cluster that follows it. Items, their vectors and users are each
platform's own. Items near a user's last basket are from the wrong cluster, so the prior is no help;
a platform sees so few users train that it meets each step of the cycle about once.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isthmus.behaviours import behaviour_code
from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories, split_by_time
from isthmus_client.platform import Platform
from isthmus_client.workspace import Workspace

Ints = npt.NDArray[np.int64]

WEEK = 7 * 24 * 3600  # seconds between baskets
BASKETS = 5  # three to train on, one to validate, one to test
TRAINING_BASKETS = 3


@dataclass(frozen=True)
class World:
    """What all platforms have in common."""

    seed: int
    clusters: int = 24
    items_per_cluster: int = 20
    content: int = 32  # width of the content vectors
    spread: float = 0.5  # norm of an item's own part; its cluster's centre has norm 1
    basket: int = 5  # items; as many as the horizon of the training targets
    surprise: float = 0.1  # share of purchases from anywhere
    platforms: int = 3
    users: int = 240  # of a platform
    early_users: int = 12  # of them, those who began early enough to be trained on

    def random(self, *names: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *names])

    def centres(self):
        """Of the clusters, norm 1. (clusters, content)."""
        centres = self.random(0).normal(size=(self.clusters, self.content))
        return centres / np.linalg.norm(centres, axis=1, keepdims=True)

    def follower(self):
        """The cluster after each: one cycle through all. (clusters,)."""
        order = self.random(1).permutation(self.clusters)
        follower = np.empty(self.clusters, dtype=np.int64)
        follower[order] = np.roll(order, -1)
        return follower


def planted_platform(world: World, place: int) -> Platform:
    """One platform of the world, with items and users of its own."""
    random = world.random(2, place)
    count = world.clusters * world.items_per_cluster
    cluster = random.permutation(np.arange(count) % world.clusters)  # of each item
    own = random.normal(size=(count, world.content)) * world.spread / world.content**0.5
    vectors = (world.centres()[cluster] + own).astype(np.float32)
    histories = _histories(world, cluster, random)
    return Platform(
        name=f"planted-{place}",
        catalogue=_catalogue(place, count),
        vectors=vectors,
        histories=histories,
        split=split_by_time(histories, TRAINING_BASKETS * WEEK, (BASKETS - 1) * WEEK),
    )


def shuffled(platform: Platform, random: np.random.Generator) -> Platform:
    """The control: the same behaviour, but every item wears another item's content."""
    order = random.permutation(len(platform.vectors))
    return replace(platform, vectors=platform.vectors[order])


def workspaces(world: World, *, control: bool = False) -> list[Workspace]:
    """Every platform of the world, ready to train."""
    made = [planted_platform(world, place) for place in range(world.platforms)]
    if control:
        made = [shuffled(platform, world.random(3, k)) for k, platform in enumerate(made)]
    return [Workspace(platform, max_events=BASKETS * world.basket) for platform in made]


def _histories(world: World, cluster, random) -> Histories:
    """A basket a week from a user's first one on; each cluster follows the last basket's."""
    follower, at = world.follower(), random.integers(world.clusters, size=world.users)
    first = np.where(np.arange(world.users) < world.early_users, 0, TRAINING_BASKETS - 1)
    baskets: list[list[Ints]] = [[] for _ in first]
    for week in range(BASKETS):
        for user in np.flatnonzero(first <= week):
            baskets[user].append(_basket(world, cluster, at[user], random))
        at = follower[at]
    events = (BASKETS - first) * world.basket
    weeks = [np.repeat(np.arange(start, BASKETS), world.basket) for start in first]
    return Histories(
        user_ids=tuple(f"user-{u}" for u in range(world.users)),
        offsets=np.concatenate([[0], np.cumsum(events)]),
        items=np.concatenate([item for mine in baskets for item in mine]).astype(np.int32),
        behaviours=np.full(events.sum(), behaviour_code("purchase"), np.int8),
        times=np.concatenate(weeks) * WEEK,
        timed=True,
    )


def _basket(world: World, cluster: Ints, wanted: int, random: np.random.Generator) -> Ints:
    """Items of one purchase. (basket,)."""
    chosen = random.permutation(np.flatnonzero(cluster == wanted))[: world.basket]
    anything = random.integers(cluster.size, size=world.basket)
    return np.where(random.random(world.basket) < world.surprise, anything, chosen)


def _catalogue(place: int, count: int) -> Catalogue:
    names = tuple(f"item-{place}-{i}" for i in range(count))
    return Catalogue(names, names, ("",) * count, np.full(count, np.nan, np.float32))
