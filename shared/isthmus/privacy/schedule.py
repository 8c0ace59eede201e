"""What a private run publishes before its first round: rates, noise, rounds and what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from isthmus.errors import MessageRefusedError, ScenarioError
from isthmus.privacy.accounting import noise_multiplier_for, published_delta
from isthmus.privacy.filter import plan_delta
from isthmus.privacy.grid import GridNoise, shares_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Template = TypeVar("Template", bound=DataclassInstance)

SPARE: Final = 2  # rounds that are paid for beside the planned ones: a crash costs one


@dataclass(frozen=True)
class PrivatePlan:
    """What a private run is asked for.

    Attributes:
        trust: who adds the noise; `isthmus.messages.Trust`.
        epsilon: of the whole run, for one user of one platform.
        colluders: platforms that may work together with the server; `pooled` alone.
        rounds: of the run; each is one noised gradient.
        batch: users that a round samples in expectation, over all platforms.
        clipping_norm: of the first round, and of all where it is fixed.
        clipping_quantile: of users' gradients that the clipping norm follows; 0 = it is fixed.
    """

    trust: Literal["local", "pooled"]
    epsilon: float
    colluders: int = 0
    rounds: int = 100
    batch: int = 4096
    clipping_norm: float = 1.0
    learning_rate: float = 2e-3  # of the server's Adam
    clipping_quantile: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what protects nobody.

        Raises:
            ScenarioError: names the value.
        """
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise ScenarioError(f"epsilon is {self.epsilon}, must be finite and above 0")
        if not 0 <= self.clipping_quantile < 1:
            raise ScenarioError(
                f"clipping_quantile is {self.clipping_quantile}, must be 0 (fixed) up to 1"
            )
        if self.colluders and self.trust != "pooled":
            raise ScenarioError(
                f"{self.colluders} colluders with trust {self.trust}",
                hint="colluders weaken pooled noise only; leave the option out",
            )


@dataclass(frozen=True)
class Schedule:
    """The published constants of a private run.

    An adaptive clipping norm changes none of them: noise is a multiple of each round's own norm, so
    that no round's cost depends on what the rounds before released.

    Attributes:
        users: published users of each platform, never the live count.
        sampling_rate: of users in a round, Poisson; the same on all platforms.
        shares: honest platforms whose noise makes the whole; 1 where each adds it all.
    """

    plan: PrivatePlan
    users: Mapping[str, int]
    sampling_rate: float
    noise_multiplier: float
    delta: float
    shares: int

    @property
    def expected_users(self) -> float:
        """Behind a round's sum over all platforms."""
        return self.sampling_rate * sum(self.users.values())

    def round(self, template: Template) -> Template:
        """What every round asks of a platform.

        Args:
            template: an `isthmus.messages.RoundPlan`, which stands above this package.

        Raises:
            MessageRefusedError: the constants make no plan.
        """
        values: dict[str, Any] = {
            "validate": False,
            "privacy": self.plan.trust,
            "clipping_norm": float(self.plan.clipping_norm),
            "noise_multiplier": float(self.noise_multiplier),
            "sampling_rate": float(self.sampling_rate),
            "shares": self.shares,
            "clipping_quantile": float(self.plan.clipping_quantile),
        }
        return replace(template, **values)


def published(users: int) -> int:
    """A platform's number of users as it is published: two digits, in tens at least, rounded down.

    In a deployment it is a constant of the contract that the operator and the platform agree on.
    """
    step = int(10 ** max(len(str(users)) - 2, 1))
    return users // step * step


def schedule_for(plan: PrivatePlan, users: Mapping[str, int], parameters: int) -> Schedule:
    """The least noise that keeps the run within its epsilon.

    Args:
        users: published users of each platform.
        parameters: d, numbers of the encoder.

    Raises:
        ScenarioError: a platform of nobody, an epsilon that no noise reaches, or too few honest
            platforms.
    """
    if empty := sorted(name for name, count in users.items() if count < 2):  # noqa: PLR2004
        raise ScenarioError(
            f"too few users for a private run: {', '.join(empty)}",
            hint="numbers of users are published in tens, rounded down; leave a smaller platform "
            "out with --newcomer, or in a scenario file of your own",
        )
    shares = _shares(plan, len(users))
    rate = min(1.0, plan.batch / sum(users.values()))
    delta = min(published_delta(count) for count in users.values())
    rounds = plan.rounds + SPARE
    planned = plan_delta(delta)  # a ledger keeps the rest of delta for rounds beside the plan
    noise = noise_multiplier_for(plan.epsilon, planned, rate, rounds)
    coordinates = parameters + (1 if plan.clipping_quantile else 0)
    how = GridNoise(plan.clipping_norm, noise, coordinates, shares)
    platforms = len(users) if plan.trust == "pooled" else 1
    slack = how.slack(platforms, rounds, plan.epsilon)
    if slack > delta / 1000:
        raise ScenarioError(f"rounding alone would take {slack:.1e} of delta {delta:.1e}")
    noise = noise_multiplier_for(plan.epsilon, planned - slack, rate, rounds) if slack else noise
    return Schedule(plan, dict(users), rate, noise, delta, shares)


def _shares(plan: PrivatePlan, platforms: int) -> int:
    """Honest platforms whose noise makes the whole."""
    if plan.trust != "pooled":
        return 1
    try:
        return shares_of(platforms, plan.colluders)
    except MessageRefusedError as error:
        raise ScenarioError(str(error), hint=error.hint) from error
