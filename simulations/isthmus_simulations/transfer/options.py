"""Everything that the transfer benchmark can be told, as one value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.errors import ScenarioError
from isthmus_simulations.options import SimulationOptions

DEFAULT_SCENARIOS = ("journey", "trio", "markets")
DEFAULT_SEEDS, QUICK_SEEDS = 5, 3
DEFAULT_MAX_USERS = 10_000


class TransferOptions(BaseModel):
    """What to measure, how often, and where to put it.

    Attributes:
        scenarios: built-in names or paths of TOML files; empty = the defaults whose data is there.
        seeds: how many; they are 1, 2, ... so that more seeds go on from fewer.
        quick: the scenarios' small variants.
        rounds: of the federation, at most; None leaves it to the training plan.
        max_users: a platform's users at most, drawn once for all seeds; 0 = all.
        max_test_users: test users of a platform and seed at most.
        windows: that the gates look at: with 2 also the one before, with the models of then, in
            scenarios that are split by the clock.
        data_folder: of the data sets that scenarios name; None looks at its default places.
        cache: folder of the item embeddings, shared by all runs.
        out: the benchmark's own folder.
        workers: cells that are computed at the same time.
        restart: delete the cells in the folder first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenarios: tuple[str, ...] = ()
    seeds: int = Field(default=DEFAULT_SEEDS, ge=1, le=1000)
    quick: bool = False
    rounds: int | None = Field(default=None, ge=1)
    max_users: int = Field(default=DEFAULT_MAX_USERS, ge=0)
    max_test_users: int = Field(default=2_500, ge=1)
    windows: int = Field(default=1, ge=1, le=2)
    data_folder: Path | None = None
    cache: Path = Path(".isthmus-cache")
    out: Path
    workers: int = Field(default=1, ge=1)
    restart: bool = False

    def simulation(self, scenario: str, seed: int, out: Path) -> SimulationOptions:
        """The options of one cell, as a simulation takes them: single-threaded, in `out`."""
        return SimulationOptions(
            scenario=scenario,
            out=out,
            cache=self.cache,
            seed=seed,
            quick=self.quick,
            rounds=self.rounds,
            workers=1,
        )

    @property
    def deciding(self) -> dict[str, Any]:
        """The options on which a cell's figures depend, besides its scenario and seed."""
        names = {"quick", "rounds", "max_users", "max_test_users"}
        return self.model_dump(mode="json", include=names)


def checked(**values: Any) -> TransferOptions:
    """Options from a command line.

    Raises:
        ScenarioError: names every option whose value is out of range.
    """
    try:
        return TransferOptions(**values)
    except ValidationError as error:
        found = (
            f"--{str(e['loc'][0]).replace('_', '-')} {e['input']}: {e['msg'].lower()}"
            for e in error.errors()
        )
        raise ScenarioError("; ".join(found)) from None
