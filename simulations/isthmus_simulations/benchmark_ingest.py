"""How fast a platform's store takes events in, beside DuckDB's own scan and sort of the file."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from isthmus.progress import Progress
from isthmus_simulations.benchmark_ingest_data import write_platform
from isthmus_simulations.benchmark_ingest_work import WARM_UP, Figures, Work, measured

LEAST_PER_SECOND: Final = 1_000_000  # events a second of one core, from Parquet to sequences
MOST_OF_SCAN: Final = 4.0  # CPU seconds of an ingest over those of the scan and sort
MOST_MEGABYTES: Final = 2048.0  # of an ingest, above what stood before it
FEW: Final = 1000  # events on which every process warms up
WORKS: Final[tuple[Work, ...]] = ("scan", "ingest", "sequences", "open")


@dataclass(frozen=True)
class Speed:
    """One size of feed with one number of threads.

    Attributes:
        events: of the feed.
        threads: cores that each process may use.
        rounds: {work: figures of each round}; "ingest" holds the building of sequences,
            "sequences" is that alone, from the stored segments; "open" maps them for training.
    """

    events: int
    threads: int
    rounds: dict[str, list[Figures]] = field(default_factory=dict)

    def best(self, work: Work) -> Figures:
        """The round that took least of the processor: what else runs only ever adds to it."""
        return min(self.rounds[work], key=lambda figures: figures.cpu_seconds)

    @property
    def events_per_core_second(self) -> float:
        """Of an ingest, the sequences among it."""
        return self.events / self.best("ingest").cpu_seconds

    @property
    def ratio(self) -> float:
        """CPU seconds of an ingest over those of the scan and sort."""
        return self.best("ingest").cpu_seconds / self.best("scan").cpu_seconds

    @property
    def sequences_ratio(self) -> float:
        """The same of building sequences alone."""
        return self.best("sequences").cpu_seconds / self.best("scan").cpu_seconds

    @property
    def megabytes(self) -> float:
        """Peak memory of the hungriest ingest."""
        return max(figures.megabytes for figures in self.rounds["ingest"])

    def missed(self) -> list[str]:
        """Goals that this size missed, in words."""
        found = []
        if self.events_per_core_second < LEAST_PER_SECOND:
            found.append(f"{self.events_per_core_second:,.0f} events a second of a core")
        if self.ratio > MOST_OF_SCAN:
            found.append(f"{self.ratio:.2f} times the scan and sort")
        if self.megabytes > MOST_MEGABYTES:
            found.append(f"{self.megabytes:,.0f} MB")
        return found


def compare_ingest(
    sizes: Sequence[int],
    threads: Sequence[int],
    *,
    rounds: int,
    seed: int,
    progress: Progress,
) -> list[Speed]:
    """Measure every size with every number of threads, all works in turn.

    Args:
        sizes: events of the generated feeds.
        threads: cores that a process may use.
        rounds: of each work; the best one counts.
        seed: draws the feeds.
        progress: shown to a person.

    Raises:
        ScenarioError: the system is not Linux.
        FederationError: a measured process died.
    """
    found = []
    for size in sizes:
        with (
            tempfile.TemporaryDirectory(prefix="isthmus-ingest-") as name,
            progress.track(f"{size:,} events", len(threads) * rounds * len(WORKS)) as advance,
        ):
            folder = Path(name)
            write_platform(folder, size, seed)
            write_platform(folder / WARM_UP, FEW, seed)
            for count in threads:
                speed = Speed(size, count)
                for _ in range(rounds):
                    for work in WORKS:
                        figures = measured(work, folder, count)
                        speed.rounds.setdefault(work, []).append(figures)
                        advance(1)
                found.append(speed)
    return found
