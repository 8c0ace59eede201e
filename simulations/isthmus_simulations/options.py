"""Everything that a simulation can be told, as one value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from isthmus.errors import ScenarioError
from isthmus.messages import Trust

Engine = Literal["memory", "ray"]
ServerOptimiser = Literal["fedavg", "fedavgm", "fedadam"]
AggregationRule = Literal["mean", "norm_bounded", "trimmed_mean", "median", "cosine"]
Weighting = Literal["users", "equal", "sqrt_users"]


class SimulationOptions(BaseModel):
    """What to run, how, and where to put it. None leaves a setting to the scenario or the default.

    Attributes:
        scenario: a built-in scenario's name or the path of a TOML file.
        data: folder of the data sets that a scenario names; None looks at its default places.
        out: the run's folder; it belongs to the run alone.
        cache: folder of the item embeddings, shared by all runs.
        newcomer: platform that stays out of the federation to measure its first day.
        encoder: folder of a Hugging Face text encoder.
        rounds: of the federation, at most.
        local_epochs: passes over a platform's training users in a round.
        learning_rate: of the local AdamW.
        aggregation: how the server combines the updates of a round.
        weights: how much a platform's update counts: by its users, equally, or by their root.
        sequence_models: whether each platform trains a SASRec of its own, to be fused in.
        secure_aggregation: whether the server sees sums over platforms only.
        record: folder of a run on data as they stood when this one's test window began; what its
            candidate turned out to be worth counts at the gate.
        windows: that the gates look at; 2 makes the record itself, by a run one window before.
        earlier: this is such a run: the scenario as it stood one window before.
        privacy: the trust mode of differential privacy; none trains without.
        epsilon: of a private run, for one user of one platform.
        colluders: platforms that may work together with the server against another; pooled alone.
        clipping_norm: the largest norm of a user's gradient; of the first round where it adapts.
        clipping_quantile: of users' gradients that the clipping norm follows; 0 = it is fixed.
        private_batch: users that a private round samples in expectation, over all platforms.
        canaries: planted users of each platform, by which a private run is audited; 0 = no audit.
        engine: what carries the messages; the result does not depend on it.
        workers: platforms that train at the same time; None is one per core.
        resume: `out` holds an interrupted run of the same configuration: go on from there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenario: str = "journey"
    data: Path | None = None
    out: Path
    cache: Path = Path(".isthmus-cache")
    seed: int = Field(default=7, ge=0, lt=2**31)
    quick: bool = False
    newcomer: str | None = None
    encoder: Path | None = None
    rounds: int | None = Field(default=None, ge=1)
    local_epochs: float | None = Field(default=None, gt=0)
    learning_rate: float | None = Field(default=None, gt=0)
    server_optimiser: ServerOptimiser | None = None
    aggregation: AggregationRule | None = None
    weights: Weighting | None = None
    sequence_models: bool = False
    secure_aggregation: bool = False
    record: Path | None = None
    windows: int = Field(default=1, ge=1, le=2)
    earlier: bool = False
    privacy: Trust = "none"
    epsilon: float = Field(default=8.0, gt=0, le=200)
    colluders: int = Field(default=0, ge=0)
    clipping_norm: float | None = Field(default=None, gt=0)
    clipping_quantile: float = Field(default=0.0, ge=0, lt=1)
    private_batch: int | None = Field(default=None, ge=1)
    canaries: int | None = Field(default=None, ge=0)
    engine: Engine = "memory"
    workers: int | None = Field(default=None, ge=1)
    resume: bool = False

    @model_validator(mode="after")
    def _one_record(self) -> Self:
        if self.windows > 1 and self.record is not None:
            raise ValueError("--windows 2 makes the record that --record names: leave one out")
        if self.windows > 1 and self.privacy != "none":
            raise ValueError(
                "--windows 2 trains two releases on the same users, and --epsilon is of one: make "
                "the earlier run by itself (`end` under [split]) and give it as --record"
            )
        return self

    @property
    def planted(self) -> int:
        """Canaries on each platform of this run; a run without privacy has nothing to audit."""
        if self.privacy == "none":
            return 0
        return CANARIES if self.canaries is None else self.canaries


CANARIES = 1000
"""Canaries on a platform of a private run: they can show an epsilon up to 4.2 at delta 1e-5."""

DEPENDENT = (
    "scenario",
    "data",
    "seed",
    "quick",
    "newcomer",
    "encoder",
    "rounds",
    "local_epochs",
    "learning_rate",
    "server_optimiser",
    "aggregation",
    "weights",
    "sequence_models",
    "secure_aggregation",
    "record",
    "windows",
    "earlier",
    "privacy",
    "epsilon",
    "colluders",
    "clipping_norm",
    "clipping_quantile",
    "private_batch",
    "canaries",
)
"""Options that a result depends on; the others say where and how fast it is computed."""


def checked(**values: Any) -> SimulationOptions:
    """Options from a command line.

    Raises:
        ScenarioError: names every option whose value is out of range.
    """
    try:
        return SimulationOptions(**values)
    except ValidationError as error:
        raise ScenarioError("; ".join(map(_finding, error.errors()))) from None


def _finding(detail: ErrorDetails) -> str:
    if not detail["loc"]:  # of several options together
        return detail["msg"].removeprefix("Value error, ")
    option = "--" + str(detail["loc"][0]).replace("_", "-")
    return f"{option} {detail['input']}: {detail['msg'].lower()}"


def default_out(scenario: str, seed: int, *, quick: bool, newcomer: str | None = None) -> Path:
    """`isthmus-runs/SCENARIO-SEED`, with what sets a run apart in its name."""
    parts = [Path(scenario).stem, str(seed)]
    parts += [f"newcomer-{newcomer}"] if newcomer else []
    parts += ["quick"] if quick else []
    return Path("isthmus-runs") / "-".join(parts)
