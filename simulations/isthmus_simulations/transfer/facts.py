"""What one cell of the benchmark, a scenario under one seed, has found.

Values per user are arrays; everything else is a record that goes to JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from isthmus_client.figures import Count, Figures, Seconds, Share

Ints = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]

Role = Literal["baseline", "own", "federated", "bound"]
"""What a platform has alone; what the federation gives it; what nobody could have."""


@dataclass(frozen=True)
class PlatformValues:
    """Quality of every model for every user, models in the order of the facts.

    Attributes:
        users: the drawn test users, as rows of the prepared platform, ascending. (test,)
        known: events of each one's history before the test. (test,)
        ndcg: NDCG@10 on items new to the user. (models, test)
        hit: 1 where a target is among the first ten. (models, test)
        reciprocal: one over the rank of the first target. (models, test)
        item_ndcg: NDCG@10 counting only the targets of an item bucket; NaN for users without one.
            (buckets, models, test)
        gate_users: validation users who decide the gate. (gate,)
        gate_ndcg: their NDCG@10. (models, gate)
    """

    users: Ints
    known: Ints
    ndcg: Values
    hit: Values
    reciprocal: Values
    item_ndcg: Values
    gate_users: Ints
    gate_ndcg: Values


class CostPoint(Figures):
    """Validation quality, and what had been spent until then.

    Attributes:
        step: rounds of both federations, or passes over the platform's own users.
        seconds: of the platform's computing.
        bytes: both ways, between platform and server.
        ndcg: of the tuning users; None where a platform has none.
    """

    step: Annotated[float, Field(ge=0)]
    seconds: Seconds
    bytes: Count = 0
    ndcg: Share | None


class TrialFacts(Figures):
    """One configuration that was tried."""

    settings: dict[str, float | int | str]
    ndcg: Share | None
    seconds: Seconds


class ModelFacts(Figures):
    """One model on one platform.

    Attributes:
        name: as in the registry.
        trials: every configuration tried; empty where there is nothing to choose.
        chosen: place of the one that is ranked.
        seconds: of fitting and tuning, without trainings that several models share.
        coverage: share of the catalogue that is in some test user's first ten.
    """

    name: str
    role: Role
    trials: tuple[TrialFacts, ...] = ()
    chosen: Count = 0
    seconds: Seconds = 0.0
    coverage: Share = 0.0


class GateFacts(Figures):
    """What the no-harm gate decided on the validation window.

    Attributes:
        incumbent: the best of all that the platform has alone, the own recipe included.
        baseline: the best of the established baselines.
    """

    decision: Literal["federated", "local"]
    served: str
    incumbent: str
    baseline: str
    users: Count


class PlatformFacts(Figures):
    """Everything about one platform of a cell that is not per user.

    Attributes:
        models: in the order of the values' rows; a list, as a mapping's order is not kept by all
            that reads and writes JSON.
    """

    users: Count
    items: Count
    events: Count
    training_users: Count
    test_users: Count
    models: tuple[ModelFacts, ...]
    gate: GateFacts
    federated: tuple[CostPoint, ...] = ()
    local: tuple[CostPoint, ...] = ()
    bytes_per_round: Annotated[float, Field(ge=0)] = 0.0


class CellFacts(Figures):
    """One cell.

    Attributes:
        encoder_rounds: of the first federation, which trains the encoder.
        ranker_rounds: of the second one, which trains the ranker around the released encoder.
        best_round: whose encoder is released.
        best_ranker_round: whose ranker is released.
    """

    scenario: str
    seed: Count
    split: Literal["time", "leave-one-out"]
    encoder_rounds: Count
    ranker_rounds: Count
    best_round: Count
    best_ranker_round: Count
    seconds: dict[str, Seconds]
    platforms: dict[str, PlatformFacts]


@dataclass(frozen=True)
class Cell:
    """A finished cell."""

    facts: CellFacts
    values: dict[str, PlatformValues]
