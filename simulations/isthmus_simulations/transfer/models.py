"""The models that the benchmark compares. Adding one is one line in `MODELS`."""

from __future__ import annotations

import math
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
from isthmus_client.lightgbm_ranker import fit_lightgbm
from isthmus_client.mr_mtl import MrMtlSettings, fit_mr_mtl
from isthmus_client.personalise import Personalised, personalise
from isthmus_client.ranker_model import RankerModel
from isthmus_client.workspace import Workspace
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.rankers import Rankers
from isthmus_simulations.stages import encoder_of
from isthmus_simulations.transfer.contenders import content_contender, headed_contender
from isthmus_simulations.transfer.facts import Role


@dataclass(frozen=True)
class Seat:
    """One platform in one cell, with all that was trained for it.

    Attributes:
        alone: the encoder that the platform trained by itself.
        release: the federation's encoder.
        rankers: encoders with their rankers: alone, released, with additions, pooled.
        sasrec: the platform's own sequence model: a baseline, and what rankers are fused with.
    """

    workspace: Workspace
    plan: TrainingPlan
    alone: Shared
    release: Shared
    rankers: Rankers
    sasrec: Contender


@dataclass(frozen=True)
class Entry:
    """A model: what it is for in the comparison, and how a platform gets it."""

    role: Role
    fit: Callable[[Seat], Contender]


def _alone(fit: Callable[[Workspace], Contender]) -> Callable[[Seat], Contender]:
    """A baseline that needs the platform's own data and nothing else."""
    return lambda seat: fit(seat.workspace)


def _lightgbm(seat: Seat) -> Contender:
    return fit_lightgbm(seat.workspace, seed=seat.plan.seed)


def _text_and_id(seat: Seat) -> Contender:
    return headed_contender("text_and_id", seat.workspace, _with_head(seat, seat.alone))


def _content(seat: Seat) -> Contender:
    release = encoder_of(seat.release, seat.plan.encoder)
    return content_contender("content", seat.workspace, release)


def _mr_mtl(seat: Seat) -> Contender:
    """One lambda for each platform, chosen by its tuning users."""
    release = encoder_of(seat.release, seat.plan.encoder)
    lambdas = (math.inf, 1.0, 0.0)
    settings = MrMtlSettings(lambdas, epochs=2, training=seat.plan.settings, head=seat.plan.head)
    return fit_mr_mtl(seat.workspace, release, settings, seed=seat.plan.seed).contender


def _fedavg_tuned(seat: Seat) -> Contender:
    return headed_contender("fedavg_tuned", seat.workspace, _with_head(seat, seat.release))


def _with_head(seat: Seat, parameters: Shared) -> Personalised:
    """The private head around any of the encoders, all with the same budget."""
    encoder = encoder_of(parameters, seat.plan.encoder)
    return personalise(seat.workspace, encoder, seat.plan.head, seed=seat.plan.seed)


def _ranker(name: str, model: Callable[[Rankers], RankerModel]) -> Callable[[Seat], Contender]:
    """A model that was trained before all others, with the seconds that it took."""

    def fit(seat: Seat) -> Contender:
        seconds = seat.rankers.seconds.get(name, 0.0)
        return model(seat.rankers).contender(name, seat.workspace, seconds)

    return fit


MODELS: dict[str, Entry] = {
    "popularity": Entry("baseline", _alone(fit_popularity)),
    "recent_popularity": Entry("baseline", _alone(fit_recent_popularity)),
    "item_knn": Entry("baseline", _alone(fit_item_knn)),
    "prior": Entry("baseline", _alone(fit_prior)),
    "sasrec": Entry("baseline", lambda seat: seat.sasrec),
    "lightgbm": Entry("baseline", _lightgbm),
    "text_and_id": Entry("baseline", _text_and_id),
    "local": Entry("own", _ranker("local", lambda rankers: rankers.local)),
    "content": Entry("federated", _content),
    "mr_mtl": Entry("federated", _mr_mtl),
    "fedavg_tuned": Entry("federated", _fedavg_tuned),
    "federated": Entry("federated", _ranker("federated", lambda rankers: rankers.federated)),
    "personalised": Entry(
        "federated", _ranker("personalised", lambda rankers: rankers.personalised)
    ),
    "pooled": Entry("bound", _ranker("pooled", lambda rankers: rankers.pooled)),
}
"""In the order of a report. Roles: `baseline` is an established model that a platform fits on its
own data; `own` is the federation's recipe without the federation; both may be the incumbent at the
gate. `federated` comes from the federation; `bound` is out of reach."""

CANDIDATE = "personalised"
"""The model that the federation offers to a platform: it has to pass the gate."""

RELEASE, RECIPE, BOUND = "federated", "local", "pooled"
"""The release as it is; the same recipe alone, which tells what the federation itself adds; and the
upper bound that the candidate is compared with."""
