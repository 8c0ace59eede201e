"""What deployment adds to a round: real processes with TLS against the same rounds in memory.

The platforms are three shops with the example tables, so that a round's own computing is short and
what is measured is everything around it. In memory the very same trainers and rounds run as threads
of one process. `stock` is Flower's own SuperNode loop with its process for each message.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from isthmus.errors import ServiceError
from isthmus.federation_contract import FederationContract
from isthmus.progress import Progress
from isthmus_client.home import CONTRACT, Home
from isthmus_client.new_platform import create_platform
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import load_settings
from isthmus_server.state import open_state
from isthmus_simulations.demo.federation import POLICY, LocalFederation
from isthmus_simulations.demo.processes import Demo
from isthmus_simulations.rehearsal import rehearse

Way = Literal["memory", "plain", "secure", "stock"]
"""In memory; deployed with single updates; with secure aggregation; with Flower's own loop."""

NAMES: Final = ("alder", "birch", "cedar")
ENCODERS: Final = {
    "tiny": "dim=8,layers=1,heads=1,expansion=1",
    "million": "dim=192,layers=3",
}
GOALS: Final[dict[Way, float]] = {"plain": 0.5, "secure": 2.0}
"""Seconds that a round may take beyond the same round in memory."""


@dataclass(frozen=True)
class Rounds:
    """The rounds of one way.

    Attributes:
        encoder: `tiny` or `million`.
        parameters: numbers in an update.
        seconds: of each round after the first, which loads and opens what the others have.
        first: seconds of the first.
        bytes_up: of one platform's messages in a round.
        bytes_down: to one platform.
    """

    encoder: str
    way: Way
    parameters: int
    seconds: tuple[float, ...]
    first: float
    bytes_up: int
    bytes_down: int

    @property
    def median(self) -> float:
        """Seconds of a round."""
        return statistics.median(self.seconds)


def measure(
    folder: Path,
    *,
    encoders: Sequence[str],
    rounds: int,
    stock_rounds: int,
    progress: Progress,
) -> list[Rounds]:
    """All ways, one after the other, on the same platforms.

    Args:
        folder: of all that is written; must not be there.
        encoders: keys of `ENCODERS`.
        rounds: of each way, the first one included; at least 2.
        stock_rounds: of the stock way, which is slow; 0 leaves it out.
        progress: shows the steps.

    Raises:
        ServiceError: a process failed; the folder stays, with its logs.
    """
    homes = [Home(folder / "platforms" / name / CONTRACT) for name in NAMES]
    for home in homes:
        home.folder.mkdir(parents=True)
        create_platform(home, name=home.folder.name, example=True)
    with _running(folder, homes) as federation:
        bench = _Bench(federation, homes)
        steps = len(encoders) * (4 if stock_rounds else 3)
        with progress.track("Deployed rounds", steps) as advance:
            found = []
            for way in ("plain", "secure"):
                for encoder in encoders:
                    found.append(bench.deployed(encoder, way, rounds))
                    advance(1)
            for encoder in encoders:
                found.append(bench.in_memory(encoder))
                advance(1)
            if stock_rounds:
                federation.stop_platforms()
                federation.start_platforms("--node", "stock")
                for encoder in encoders:
                    found.append(bench.deployed(encoder, "stock", stock_rounds))
                    advance(1)
    return found


@contextmanager
def _running(folder: Path, homes: Sequence[Home]) -> Iterator[LocalFederation]:
    demo = Demo(folder, platforms=NAMES)
    demo.save()
    try:
        federation = LocalFederation(demo, homes, POLICY + "require_secure = false\n")
        federation.start_server()
        federation.join_all()
        federation.start_platforms()
        yield federation
    finally:
        Demo.load(folder).stop()


class _Bench:
    """Runs of one federation."""

    def __init__(self, federation: LocalFederation, homes: Sequence[Home]) -> None:
        self._federation = federation
        self._homes = {home.folder.name: home for home in homes}
        self._home = ServerHome(federation.demo.folder / "server")
        self._runs: dict[str, str] = {}

    def deployed(self, encoder: str, way: Way, rounds: int) -> Rounds:
        """The rounds of a run over real processes."""
        secure = "--secure-aggregation" if way == "secure" else "--no-secure-aggregation"
        name = self._federation.propose(
            *("--privacy", "none", secure, "--rounds", str(rounds), "--patience", "0"),
            *("--minimum", str(len(NAMES)), "--max-steps", "1", "--encoder", ENCODERS[encoder]),
        )
        self._federation.wait_round(name, rounds)
        if way == "plain":
            self._runs[encoder] = name
        return self._rounds(encoder, way, CheckpointStore(self._home.rounds(name)), name)

    def in_memory(self, encoder: str) -> Rounds:
        """The rounds of the plain run again, in this process."""
        name = self._runs[encoder]
        out = self._federation.demo.folder / "memory" / encoder
        workers = min(os.cpu_count() or 1, len(NAMES))
        rehearse(self._contract(name), self._homes, out, workers=workers)
        return self._rounds(encoder, "memory", CheckpointStore(out / "rounds"), name)

    def _rounds(self, encoder: str, way: Way, store: CheckpointStore, name: str) -> Rounds:
        records = store.records()
        if len(records) < 2:  # noqa: PLR2004 - the first one is left out
            raise ServiceError(f"{name} has {len(records)} rounds; 2 are needed")
        last = next(iter(records[-1].platforms.values()))
        return Rounds(
            encoder=encoder,
            way=way,
            parameters=self._contract(name).size,
            seconds=tuple(record.seconds for record in records[1:]),
            first=records[0].seconds,
            bytes_up=last.bytes_up,
            bytes_down=last.bytes_down,
        )

    def _contract(self, name: str) -> FederationContract:
        with open_state(load_settings(self._home).database_url(self._home)) as state:
            row = state.runs.get(name)
        assert row is not None
        return FederationContract.from_bytes(row.contract)
