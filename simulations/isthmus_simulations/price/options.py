"""Everything that the benchmark of privacy can be told, as one value."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from isthmus.errors import ScenarioError
from isthmus.privacy.planner import TARGETS
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.price.cells import Run
from isthmus_simulations.transfer.options import TransferOptions

PrivateTrust = Literal["pooled", "local"]

DEFAULT_SCENARIOS: Final = ("trio",)
TRUSTS: Final[tuple[PrivateTrust, ...]] = ("pooled", "local")
EPSILONS: Final = TARGETS
QUICK_EPSILONS: Final = (8.0, 2.0)
MOST_EPSILON: Final = 200.0  # as in `SimulationOptions`; above it nobody is protected
QUICK_USERS: Final = 3_000  # of a platform
NO_MATTER: Final = 8.0  # epsilon where there is no noise: a schedule has one, rounds ignore it


@dataclass(frozen=True)
class PriceOptions:
    """What to measure, how often, and where to put it.

    Attributes:
        scenarios: built-in names or paths of TOML files.
        seeds: how many; they are 1, 2, ... so that more seeds go on from fewer.
        trusts: trust modes of the private federations.
        epsilons: of the private runs; training without noise is always measured beside them.
        quick: the short training plans of `isthmus simulate --quick`.
        rounds: of the federation without privacy, at most; None leaves it to the training plan.
        private_rounds: None leaves it to `PrivatePlan`.
        private_batch: users that a private round samples in expectation; None as above.
        max_users: a platform's users at most, drawn once for all seeds; 0 = all.
        max_test_users: test users of a platform at most, the same in every seed.
        data_folder: of the data sets that scenarios name; None looks at its default places.
        cache: folder of the item embeddings, shared by all runs.
        out: the benchmark's own folder.
        workers: trainings at work at the same time.
        restart: delete what the folder holds first.
    """

    out: Path
    scenarios: tuple[str, ...] = DEFAULT_SCENARIOS
    seeds: int = 1
    trusts: tuple[PrivateTrust, ...] = TRUSTS
    epsilons: tuple[float, ...] = EPSILONS
    quick: bool = False
    rounds: int | None = None
    private_rounds: int | None = None
    private_batch: int | None = None
    max_users: int = 0
    max_test_users: int = 2_500
    data_folder: Path | None = None
    cache: Path = Path(".isthmus-cache")
    workers: int = 1
    restart: bool = False

    def __post_init__(self) -> None:
        """Refuse epsilons that nothing can be planned for.

        Raises:
            ScenarioError: names the value.
        """
        if not self.epsilons or not self.trusts:
            raise ScenarioError("nothing to measure: give an epsilon and a trust mode")
        if odd := [e for e in self.epsilons if not (math.isfinite(e) and 0 < e <= MOST_EPSILON)]:
            raise ScenarioError(
                f"--epsilons has {odd}, expected above 0 and at most {MOST_EPSILON:g}",
                hint="training without noise is always measured; it needs no epsilon",
            )

    @property
    def whole(self) -> bool:
        """Whether everybody takes part with full training plans, as the goals ask."""
        return not (self.quick or self.max_users or self.rounds)

    def simulation(self, asked: str, run: Run, out: Path) -> SimulationOptions:
        """The options of one training, as a simulation takes them: single-threaded, in `out`.

        Args:
            asked: the scenario as on the command line.
            run: what is trained.
            out: its own folder.
        """
        private = run.trust != "none"
        return SimulationOptions(
            scenario=asked,
            out=out,
            cache=self.cache,
            seed=run.seed,
            quick=self.quick,
            rounds=self.private_rounds if private else self.rounds,
            privacy=run.trust,
            epsilon=run.epsilon or NO_MATTER,
            private_batch=self.private_batch if private else None,
            canaries=0,  # an audit's made-up users would be a price of their own
            workers=1,
        )

    def inputs(self) -> TransferOptions:
        """The same data as the transfer benchmark reads them."""
        return TransferOptions(
            scenarios=self.scenarios,
            max_users=self.max_users,
            data_folder=self.data_folder,
            cache=self.cache,
            out=self.out,
        )

    def asked(self) -> dict[str, Any]:
        """What has to be typed to get the same figures again, as plain values."""
        places = {"out", "cache", "data_folder", "workers", "restart"}
        listed = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {name: value for name, value in listed.items() if name not in places}
