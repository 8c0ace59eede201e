"""The models that the benchmark compares. Adding one is one line in `MODELS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from isthmus.parameters import Shared
from isthmus_client.classical import (
    fit_item_knn,
    fit_popularity,
    fit_prior,
    fit_recent_popularity,
)
from isthmus_client.contender import Contender
from isthmus_client.personalise import Personalised, personalise
from isthmus_client.workspace import Workspace
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.stages import encoder_of
from isthmus_simulations.transfer.contenders import content_contender, headed_contender
from isthmus_simulations.transfer.facts import Role


@dataclass(frozen=True)
class Seat:
    """One platform in one cell, with the encoders that were trained for it.

    Attributes:
        alone: parameters that the platform trained by itself.
        release: the federation's.
        pooled: trained on everybody's raw histories.
    """

    workspace: Workspace
    plan: TrainingPlan
    alone: Shared
    release: Shared
    pooled: Shared


@dataclass(frozen=True)
class Entry:
    """A model: what it is for in the comparison, and how a platform gets it."""

    role: Role
    fit: Callable[[Seat], Contender]


def _alone(fit: Callable[[Workspace], Contender]) -> Callable[[Seat], Contender]:
    """A baseline that needs the platform's own data and nothing else."""
    return lambda seat: fit(seat.workspace)


def _local(seat: Seat) -> Contender:
    return headed_contender("local", seat.workspace, _with_head(seat, seat.alone))


def _federated(seat: Seat) -> Contender:
    release = encoder_of(seat.release, seat.plan.encoder)
    return content_contender("federated", seat.workspace, release)


def _personalised(seat: Seat) -> Contender:
    return headed_contender("personalised", seat.workspace, _with_head(seat, seat.release))


def _pooled(seat: Seat) -> Contender:
    return headed_contender("pooled", seat.workspace, _with_head(seat, seat.pooled))


def _with_head(seat: Seat, parameters: Shared) -> Personalised:
    """The private head around any of the encoders, all with the same budget."""
    encoder = encoder_of(parameters, seat.plan.encoder)
    return personalise(seat.workspace, encoder, seat.plan.head, seed=seat.plan.seed)


MODELS: dict[str, Entry] = {
    "popularity": Entry("baseline", _alone(fit_popularity)),
    "recent_popularity": Entry("baseline", _alone(fit_recent_popularity)),
    "item_knn": Entry("baseline", _alone(fit_item_knn)),
    "prior": Entry("baseline", _alone(fit_prior)),
    "local": Entry("baseline", _local),
    "federated": Entry("federated", _federated),
    "personalised": Entry("federated", _personalised),
    "pooled": Entry("bound", _pooled),
}
"""In the order of a report. Roles: `baseline` is what a platform has without the federation and
may be the incumbent at its gate; `federated` comes from the federation; `bound` is out of reach."""

CANDIDATE = "personalised"
"""The model that the federation offers to a platform: it has to pass the gate."""

RELEASE, BOUND = "federated", "pooled"
"""The encoder as released, and the upper bound that the candidate is compared with."""
