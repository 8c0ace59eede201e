"""Platforms whose users choose by one planted rule of ranking: how near a price is to their usual.

Every user has a usual price. Where the rule is shared, users of all platforms buy what costs about
that; in the control every second platform's users buy what is far from it, so that what platforms
learn together is of no use to any. Texts, popularity and neighbours tell nothing. Few users of a
platform train; many others, who come later, are ranked for.
"""

from dataclasses import dataclass, replace

import numpy as np

from isthmus.behaviours import behaviour_code
from isthmus_client.catalogue import Catalogue
from isthmus_client.histories import Histories, split_by_time
from isthmus_client.platform import Platform
from isthmus_client.workspace import Workspace

WEEK = 7 * 24 * 3600  # seconds between purchases
WEEKS = 12  # nine to train on, one or two to validate, one or two to test


@dataclass(frozen=True)
class RuleWorld:
    """What all platforms have in common."""

    seed: int
    items: int = 80
    content: int = 6
    strength: float = 3.0  # of the rule against chance; 0 = users choose at random
    users: int = 100  # of a platform
    training: int = 10  # of them
    platforms: int = 6


def rule_workspaces(world: RuleWorld, *, control: bool = False) -> list[Workspace]:
    """Every platform of the world; in the control every second one follows the opposite rule."""
    signs = [-1.0 if control and place % 2 else 1.0 for place in range(world.platforms)]
    return [rule_workspace(world, place, sign) for place, sign in enumerate(signs)]


def rule_workspace(world: RuleWorld, place: int, sign: float = 1.0) -> Workspace:
    """One platform, with items and users of its own."""
    random = np.random.default_rng([world.seed, place])
    prices = np.exp(random.uniform(0, 3, size=world.items)).astype(np.float32)
    names = tuple(f"item-{place}-{i}" for i in range(world.items))
    histories = _histories(world, np.log(prices), sign, random)
    platform = Platform(
        f"rule-{place}",
        Catalogue(names, names, ("",) * world.items, prices),
        random.normal(size=(world.items, world.content)).astype(np.float32),
        histories,
        split_by_time(histories, 9 * WEEK, 11 * WEEK),
    )
    return Workspace(platform, max_events=WEEKS, training_users=np.arange(world.training))


def everyone_trains(workspace: Workspace) -> Workspace:
    """The same platform, grown up."""
    return replace(workspace, training_users=None)


def _histories(world: RuleWorld, log_prices, sign, random) -> Histories:
    """A purchase of something new a week by every user."""
    shape = (world.users, WEEKS)
    items = np.empty(shape, dtype=np.int32)
    for user in range(world.users):
        usual = random.uniform(0.5, 2.5)
        gap = np.abs(log_prices - usual)
        appeal = -sign * world.strength * (gap - gap.mean()) / gap.std()
        luck = random.gumbel(size=world.items)  # the highest sums are a draw without replacement
        items[user] = random.permutation(np.argsort(-(appeal + luck))[:WEEKS])
    return Histories(
        user_ids=tuple(f"user-{u}" for u in range(world.users)),
        offsets=np.arange(world.users + 1) * WEEKS,
        items=items.ravel(),
        behaviours=np.full(items.size, behaviour_code("purchase"), np.int8),
        times=np.tile(np.arange(WEEKS) * WEEK, world.users),
        timed=True,
    )
