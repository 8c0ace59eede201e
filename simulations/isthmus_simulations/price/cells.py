"""The trainings that are compared, a cell each, and what a finished cell knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field

from isthmus.messages import Trust
from isthmus_client.figures import Count, Figures, Seconds, Share
from isthmus_simulations.results import Privacy

Way = Literal["prior", "alone", "federated", "noiseless", "pooled", "local", "private_alone"]
"""How an encoder comes about.

`prior`: not at all. `alone`: on the platform's own users, without privacy. `federated`: today's
federation without privacy. `noiseless`: the private federation's rounds, clipped, with no noise and
so with no privacy. `pooled`, `local`: private federations. `private_alone`: the platform's own
private rounds, with its own noise."""

PRIVATE: tuple[Way, ...] = ("pooled", "local", "private_alone")
BY_PLATFORM: tuple[Way, ...] = ("alone", "private_alone")

_TRUST: dict[Way, Trust] = {
    "noiseless": "local",  # whose rounds they are, less the noise
    "pooled": "pooled",
    "local": "local",
    "private_alone": "local",
}


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        epsilon: of a private one; None = there is no noise.
        platform: that trains by itself; None = all together.
    """

    scenario: str
    seed: int
    way: Way
    epsilon: float | None = None
    platform: str | None = None

    @property
    def name(self) -> str:
        """For folders and people."""
        parts = [self.scenario, str(self.seed), self.way.replace("_", "-")]
        parts += [f"{self.epsilon:g}"] if self.epsilon is not None else []
        parts += [self.platform] if self.platform is not None else []
        return "-".join(parts)

    @property
    def trust(self) -> Trust:
        """The trust mode whose rounds it trains in."""
        return _TRUST.get(self.way, "none")


def grid(
    scenario: str,
    seed: int,
    platforms: Sequence[str],
    trusts: Sequence[Way],
    epsilons: Sequence[float],
) -> tuple[Run, ...]:
    """Every training of a scenario under a seed; those that all others are compared with first."""
    plain: tuple[Way, ...] = ("federated", "noiseless", "prior")
    runs = [Run(scenario, seed, way) for way in plain]
    runs += [Run(scenario, seed, "alone", None, platform) for platform in platforms]
    runs += [Run(scenario, seed, way, each) for each in epsilons for way in trusts]
    runs += list(_alone(scenario, seed, platforms, epsilons))
    return tuple(runs)


def _alone(
    scenario: str, seed: int, platforms: Sequence[str], epsilons: Sequence[float]
) -> Iterator[Run]:
    """Every platform's own private rounds."""
    for each in epsilons:
        for platform in platforms:
            yield Run(scenario, seed, "private_alone", each, platform)


class Attack(Figures):
    """A membership attack by the loss, calibrated by the untrained encoder's.

    Attributes:
        auc: chance that a training user looks more like one than a held-out user.
        tpr: share of the training users that are named where `fpr` of the held-out ones are.
    """

    auc: Share
    auc_low: Share
    auc_high: Share
    tpr: Share
    tpr_low: Share
    tpr_high: Share
    fpr: Share
    members: Count
    non_members: Count


class PlatformFacts(Figures):
    """One platform of a cell.

    Attributes:
        training_users: that were trained on.
        held_out: users who trained nothing, drawn at random: the attack's non-members.
        test_users: of the whole test window.
        users_tested: rows of the drawn test users, ascending.
        ndcg: NDCG@10 of each of these.
        attack: None of an encoder that nobody trained, or where nobody is held out.
    """

    users: Count
    items: Count
    training_users: Count
    held_out: Count
    test_users: Count
    users_tested: tuple[Count, ...]
    ndcg: tuple[Share, ...]
    attack: Attack | None = None


class CellFacts(Figures):
    """One finished training.

    Attributes:
        identity: digest of everything that it depends on.
        parameters: d, numbers in an update.
        platforms: empty where the training is impossible.
        impossible: why no schedule exists; None where it was trained.
        privacy: the claim and its schedule; None without privacy.
        rounds: or passes, of a platform without privacy alone.
        bytes: both ways, all platforms and rounds.
        seconds: process time of the training; None where it was interrupted in between.
    """

    identity: str
    scenario: str
    seed: Count
    way: Way
    epsilon: Annotated[float, Field(gt=0)] | None
    platform: str | None
    split: Literal["time", "leave-one-out"]
    parameters: Count
    platforms: dict[str, PlatformFacts]
    impossible: str | None = None
    privacy: Privacy | None = None
    rounds: Count = 0
    bytes: Count = 0
    seconds: Seconds | None = None


WAYS: tuple[Way, ...] = get_args(Way)
