"""What one run of the federation is told; a frozen value that a checkpoint remembers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from isthmus.errors import ScenarioError
from isthmus.messages import RoundPlan, Scalar
from isthmus.secagg import default_threshold
from isthmus.secagg.terms import MINIMUM
from isthmus_server.aggregate import Aggregation, Mean
from isthmus_server.noised_sum import NoisedSum
from isthmus_server.optimisers import FedAvg, ServerOptimiser


@dataclass(frozen=True)
class SecureCohort:
    """What a run's platforms agreed on, so that the server sees sums over them only.

    Attributes:
        contract: SHA-256 of the federation contract, 32 bytes.
        identities: Ed25519 identity keys of all members, 32 raw bytes, by name.
        threshold: shares that reveal a secret; 0 = two thirds, and more where colluders ask it.
        minimum: platforms in a sum at least.
        colluders: platforms that may be in league with a lying server.
        metrics: that are summed; others are not asked for.
    """

    contract: bytes
    identities: Mapping[str, bytes] = field(repr=False)
    threshold: int = 0
    minimum: int = MINIMUM
    colluders: int = 0
    metrics: tuple[str, ...] = ()

    def threshold_for(self, platforms: int) -> int:
        """Shares that reveal a secret in a cohort of this size.

        By default, two lists of survivors cannot both be signed as often while no more than the
        colluders sign twice.
        """
        asked = -(-(platforms + 1 + self.colluders) // 2)
        return self.threshold or max(default_threshold(platforms), min(asked, platforms))


@dataclass(frozen=True)
class ServerConfig:
    """One run.

    Attributes:
        plan: the template of every round's plan; its run, round and seed are filled in, and the
            clipping norm where it adapts: the template has that of the first round.
        secure: who is in the sums; None = the server sees each platform's update.
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
    secure: SecureCohort | None = None

    def __post_init__(self) -> None:
        _require(self.rounds >= 0, "rounds", self.rounds, "0 or more")
        _require(self.minimum_platforms >= 1, "minimum_platforms", self.minimum_platforms, "1+")
        _require(self.deadline_s > 0, "deadline_s", self.deadline_s, "above 0 s")
        _require(self.join_deadline_s >= 0, "join_deadline_s", self.join_deadline_s, "0 s or more")
        _require(self.patience >= 0, "patience", self.patience, "0 (off) or more rounds")
        self._require_unseen()

    def _require_unseen(self) -> None:
        """Refuse a rule that looks at single updates where there are sums only.

        Raises:
            ScenarioError: names the rule, or too few members.
        """
        if self.secure is None:
            return
        if self.aggregation.sees != "sum":
            raise ScenarioError(
                f"aggregation {self.aggregation.name} must see each platform's "
                f"{self.aggregation.sees}; under secure aggregation the server sees sums only",
                hint="use the mean, or leave secure aggregation out if the platforms agree",
            )
        if (members := len(self.secure.identities)) < MINIMUM:
            raise ScenarioError(
                f"secure aggregation of {members} platforms: of a sum over fewer than {MINIMUM} "
                "each could take its own part off and read the other's",
                hint="use the trust mode local, in which nobody is trusted",
            )

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

    @property
    def weights(self) -> str:
        """How much an update counts in a sum."""
        return self.aggregation.weights if isinstance(self.aggregation, Mean) else "users"

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
        secure = {"secure": True} if self.secure else {}
        return {"score": self.score, **plan, **optimiser, **aggregation, **secure}


def _require(good: bool, name: str, value: object, expected: str) -> None:
    if not good:
        raise ScenarioError(f"server setting {name} is {value}, must be {expected}")
