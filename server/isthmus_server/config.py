"""What one run of the federation is told; a frozen value that a checkpoint remembers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

from isthmus.errors import ScenarioError
from isthmus.messages import RoundPlan, Scalar
from isthmus_server.aggregate import Aggregation, Mean
from isthmus_server.noised_sum import NoisedSum
from isthmus_server.optimisers import FedAvg, ServerOptimiser


@dataclass(frozen=True)
class ServerConfig:
    """One run.

    Attributes:
        plan: the template of every round's plan; its run, round and seed are filled in, and the
            clipping norm where it adapts: the template has that of the first round.
        score: the validation metric that early stopping and the best round go by; higher is better.
    """

    run_id: str
    rounds: int  # at most this many; 0 = evaluate the initial parameters only
    seed: int
    plan: RoundPlan
    optimiser: ServerOptimiser = field(default_factory=FedAvg)
    aggregation: Aggregation = field(default_factory=Mean)
    minimum_platforms: int = 1  # accepted updates without which a round fails
    deadline_s: float = 3600.0  # seconds for one round; who is later is left out of it
    join_deadline_s: float = 60.0  # seconds to wait for the minimum of platforms to be online
    patience: int = 0  # rounds without a better score before the run stops; 0 = off
    score: str = "validation/ndcg@10"

    def __post_init__(self) -> None:
        _require(self.rounds >= 0, "rounds", self.rounds, "0 or more")
        _require(self.minimum_platforms >= 1, "minimum_platforms", self.minimum_platforms, "1+")
        _require(self.deadline_s > 0, "deadline_s", self.deadline_s, "above 0 s")
        _require(self.join_deadline_s >= 0, "join_deadline_s", self.join_deadline_s, "0 s or more")
        _require(self.patience >= 0, "patience", self.patience, "0 (off) or more rounds")

    def plan_for(self, number: int, clipping_norm: float | None = None) -> RoundPlan:
        """The plan of one round.

        Args:
            number: of the round.
            clipping_norm: where it adapts, of the round; None = of the first one.
        """
        plan = replace(self.plan, run_id=self.run_id, round=number, seed=self.seed)
        if clipping_norm is None or not plan.adaptive:
            return plan
        return replace(plan, clipping_norm=clipping_norm)

    def rule_for(self, plan: RoundPlan) -> Aggregation:
        """The aggregation of one round: a sum on the grid is read at the round's own norm."""
        if plan.adaptive and isinstance(self.aggregation, NoisedSum):
            return replace(self.aggregation, clipping_norm=plan.clipping_norm)
        return self.aggregation

    def identity(self) -> dict[str, Scalar]:
        """Everything that the parameters after a round depend on, flat.

        How many rounds there are, deadlines, the minimum of platforms and patience may change
        between an interrupted run and its resumption.
        """
        plan = {f"plan.{name}": value for name, value in asdict(self.plan_for(0)).items()}
        if not self.plan.adaptive:  # a run from before there was a choice is such a run
            del plan["plan.clipping_quantile"]
        optimiser = {f"optimiser.{k}": v for k, v in self.optimiser.settings().items()}
        aggregation = {f"aggregation.{k}": v for k, v in self.aggregation.settings().items()}
        return {"score": self.score, **plan, **optimiser, **aggregation}


def _require(good: bool, name: str, value: object, expected: str) -> None:
    if not good:
        raise ScenarioError(f"server setting {name} is {value}, must be {expected}")
