"""How a simulation trains: one value with every setting, derived from the options."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from isthmus.encoder_config import EncoderConfig, default_encoder
from isthmus.messages import RoundPlan
from isthmus.privacy.schedule import PrivatePlan
from isthmus.ranker_public import RankerStart
from isthmus_client.federated_trainer import settings_of
from isthmus_client.personalise import HeadSettings
from isthmus_client.ranker_training import RankerSettings
from isthmus_client.training import Settings
from isthmus_server.aggregate import Aggregation, Mean
from isthmus_server.config import ServerConfig
from isthmus_server.optimisers import FedAvg, ServerOptimiser, server_optimiser
from isthmus_server.robust import aggregation
from isthmus_simulations.options import SimulationOptions

_QUICK_ROUNDS = 4
_QUICK_PRIVATE_ROUNDS = 30


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that training depends on.

    Training alone and pooled get `rounds * local_epochs` passes: the federation's budget.

    Attributes:
        rounds: of the federation.
        patience: rounds, or passes alone, without a better validation before training stops.
        private: the federation under differential privacy, which has rounds of its own kind; None
            = without.
        ranker_start: where every ranker's training starts, federated, alone and pooled. That of a
            private run's rankers, all fitted at home, is the stand-in where times are real.
        stand_in: what a release has where no ranker is federated.
    """

    seed: int
    rounds: int = 12
    patience: int = 4
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    round: RoundPlan = field(
        default_factory=lambda: RoundPlan(
            "", 0, 0, batch_size=64, learning_rate=5e-4, weight_decay=0.01, negatives=256
        )
    )
    head: HeadSettings = field(default_factory=HeadSettings)
    ranker: RankerSettings = field(default_factory=RankerSettings)
    optimiser: ServerOptimiser = field(default_factory=FedAvg)
    aggregation: Aggregation = field(default_factory=Mean)
    private: PrivatePlan | None = None
    ranker_start: RankerStart = "mixture"
    stand_in: RankerStart = "mixture"

    @property
    def passes(self) -> int:
        """Passes over the training users that any way of training gets."""
        return max(round(self.rounds * self.round.local_epochs), 1)

    @property
    def settings(self) -> Settings:
        """Of local training, outside the federation too."""
        return settings_of(self.round)

    @property
    def ranker_round(self) -> RoundPlan:
        """What a round of the ranker's federation asks for: one pass over the examples."""
        settings = self.ranker
        return RoundPlan(
            "",
            0,
            0,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )

    def ranker_server(self, run_id: str, platforms: int) -> ServerConfig:
        """The server's configuration of the ranker's rounds."""
        return replace(self.server(run_id, platforms), plan=self.ranker_round)

    def server(self, run_id: str, platforms: int) -> ServerConfig:
        """The server's configuration of one run."""
        return ServerConfig(
            run_id=run_id,
            rounds=self.rounds,
            seed=self.seed,
            plan=self.round,
            optimiser=self.optimiser,
            aggregation=self.aggregation,
            minimum_platforms=min(platforms, 2),
            patience=self.patience,
        )

    def record(self) -> dict[str, Any]:
        """As plain values, for results.json."""
        plain = asdict(replace(self, optimiser=FedAvg(), aggregation=Mean()))
        combining = self.aggregation.settings()
        return {**plain, "optimiser": self.optimiser.settings(), "aggregation": combining}


class Given(Protocol):
    """What a plan has to know of a scenario's platforms; the arguments of `plan_for`."""

    @property
    def content(self) -> int:
        """Width of the content vectors."""
        ...

    @property
    def embedded(self) -> bool:
        """Whether the public ranker learned from a platform's shop."""
        ...

    @property
    def timed(self) -> bool:
        """Whether times are real."""
        ...


def plan_of(options: SimulationOptions, given: Given) -> TrainingPlan:
    """The training plan that the options ask for, on these platforms."""
    return plan_for(options, content=given.content, embedded=given.embedded, timed=given.timed)


def plan_for(
    options: SimulationOptions, *, content: int = 384, embedded: bool = True, timed: bool = True
) -> TrainingPlan:
    """The training plan that the options ask for.

    Args:
        content: width of the text encoder's vectors.
        embedded: whether a platform is carved from the purchases that the public ranker learned
            from. It knows these very shops, so that such a run does without it.
        timed: whether times are real; a ranker that learned from trends is no start without them.
    """
    stand_in: RankerStart = "mixture" if embedded else "public"
    alone = timed and options.privacy != "none"  # no ranker is federated
    plan = TrainingPlan(
        seed=options.seed,
        encoder=default_encoder(content, private=options.privacy != "none"),
        ranker_start=stand_in if alone else "mixture",
        stand_in=stand_in,
    )
    if options.quick:
        head = replace(plan.head, epochs=4)
        plan = replace(plan, rounds=_QUICK_ROUNDS, head=head)
    changes: dict[str, Any] = {}
    if options.local_epochs is not None:
        changes["local_epochs"] = options.local_epochs
    if options.learning_rate is not None and options.privacy == "none":
        changes["learning_rate"] = options.learning_rate
    optimiser = server_optimiser(options.server_optimiser or "fedavg")
    weights = {"weights": options.weights} if options.weights else {}
    rule = aggregation(options.aggregation or "mean", **weights)
    plan = replace(plan, round=replace(plan.round, **changes), optimiser=optimiser)
    plan = replace(plan, aggregation=rule)
    if options.privacy != "none":
        return replace(plan, private=_private(options))
    return plan if options.rounds is None else replace(plan, rounds=options.rounds)


def _private(options: SimulationOptions) -> PrivatePlan:
    """The private rounds that the options ask for, with the defaults of `PrivatePlan`."""
    given = {
        "rounds": options.rounds or (_QUICK_PRIVATE_ROUNDS if options.quick else None),
        "learning_rate": options.learning_rate,
        "clipping_norm": options.clipping_norm,
        "clipping_quantile": options.clipping_quantile,
        "batch": options.private_batch,
    }
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    assert options.privacy != "none"
    return PrivatePlan(options.privacy, options.epsilon, options.colluders, **settings)
