"""The cells of the newcomer benchmark, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, Literal

from pydantic import Field

from isthmus_client.figures import Count, Figures, Metrics, PairedDifference, Seconds

CELL: Final = "cell.json"
SIZES: Final = (0, 100, 300, 1000)  # own users; all of them come on top
GOAL_CATALOGUE: Final = 0.80  # of the fully trained own model, with the catalogue alone
GOAL_USERS: Final = 1.00  # the same with GOAL_SIZE own users
GOAL_SIZE: Final = 1000
GOAL_SECONDS: Final = 600.0  # of computing, to fit what is served with GOAL_SIZE users
GOAL_SAVED: Final = 0.30  # of the computing of training alone, to its quality


class CellSize(Figures):
    """What the newcomer has with so many own users.

    Attributes:
        served: by its gate; None with the catalogue alone.
        seconds: of computing, to fit and tune each model.
    """

    users: Count
    models: dict[str, Metrics]
    served: str | None
    differences: dict[str, PairedDifference] = Field(default_factory=dict)
    seconds: dict[str, Seconds]


class Cell(Figures):
    """One newcomer with one seed.

    Attributes:
        identity: of the configuration that computed it.
        members: platforms that federated.
        users: its own training users, all of them.
        reference: name of its own model, fully trained on all its users.
        seconds: wall clock of the stages.
    """

    schema_version: Literal[1] = 1
    identity: str
    scenario: str
    newcomer: str
    seed: Count
    members: tuple[str, ...]
    users: Count
    items: Count
    test_users: Count
    reference: str
    reference_metrics: Metrics
    reference_seconds: Seconds
    sizes: tuple[CellSize, ...] = Field(min_length=1)
    seconds: dict[str, Seconds]

    def at(self, users: int) -> CellSize:
        """The largest size that is no larger than `users`."""
        return max((s for s in self.sizes if s.users <= users), key=lambda size: size.users)


@dataclass(frozen=True)
class Row:
    """One newcomer over all its seeds: means, and shares of the fully trained own model.

    Attributes:
        largest: own users behind `users_share`: GOAL_SIZE, or all where there are fewer.
        catalogue_share: the release with the catalogue alone over the reference.
        users_share: the personalised release with `largest` users over the reference.
        seconds: of computing the personalised release with `largest` users, the slowest seed.
        saved: share of the computing of its own model, on all users, that a release saves to the
            same quality; 0 where no release gets there. The sequence model that is fused into
            either counts for neither. Mean over seeds; None without own model.
    """

    scenario: str
    newcomer: str
    cells: tuple[Cell, ...]
    largest: int
    reference: float | None
    catalogue_share: float | None
    users_share: float | None
    seconds: float
    saved: float | None

    def mean(self, users: int, model: str) -> float | None:
        """Mean NDCG@10 of a model at a size; None where it does not exist."""
        sizes = [s for cell in self.cells for s in cell.sizes if s.users == users]
        found = [s.models[model].ndcg for s in sizes if model in s.models]
        values = [value for value in found if value is not None]
        return fmean(values) if values else None


def rows(cells: Sequence[Cell]) -> tuple[Row, ...]:
    """One row for each scenario and newcomer, in the order of the cells."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.scenario, cell.newcomer), []).append(cell)
    return tuple(_row(*key, tuple(group)) for key, group in groups.items())


def _row(scenario: str, newcomer: str, cells: tuple[Cell, ...]) -> Row:
    last = [cell.at(GOAL_SIZE) for cell in cells]
    reference = _mean([cell.reference_metrics for cell in cells])
    release = _mean([cell.at(0).models["release"] for cell in cells])
    fitted = _mean([size.models.get("personalised") for size in last])
    return Row(
        scenario=scenario,
        newcomer=newcomer,
        cells=cells,
        largest=min(size.users for size in last),
        reference=reference,
        catalogue_share=_share(release, reference),
        users_share=_share(fitted, reference),
        seconds=max(size.seconds.get("personalised", 0.0) for size in last),
        saved=_saved([cell.sizes[-1] for cell in cells]),
    )


def _saved(sizes: Sequence[CellSize]) -> float | None:
    """What the cheaper of the releases as good as the own model saves; mean over seeds."""
    shares = [_saved_once(size) for size in sizes if "local" in size.models]
    return fmean(shares) if shares else None


def _saved_once(size: CellSize) -> float:
    own, alone = size.models["local"].ndcg or 0.0, _apart(size, "local")
    there = [n for n in ("release", "personalised") if n in size.models]
    good = [n for n in there if (size.models[n].ndcg or 0.0) >= own]
    spent = min((_apart(size, name) for name in good), default=alone)
    return 1 - spent / alone if alone > 0 else 0.0


def _apart(size: CellSize, name: str) -> float:
    """Seconds of a model without those of the sequence model: the same one, fused into both."""
    return max(size.seconds.get(name, 0.0) - size.seconds.get("sasrec", 0.0), 0.0)


def _mean(found: Sequence[Metrics | None]) -> float | None:
    values = [one.ndcg for one in found if one is not None and one.ndcg is not None]
    return fmean(values) if values else None


def _share(value: float | None, whole: float | None) -> float | None:
    return value / whole if value is not None and whole else None


@dataclass(frozen=True)
class Goal:
    """One goal and how many newcomers meet it."""

    text: str
    met: int
    newcomers: int


def goals(found: Sequence[Row]) -> tuple[Goal, ...]:
    """The goals of day one, counted over newcomers."""
    named = (
        (
            f"at least {GOAL_CATALOGUE:.0%} of the fully trained own model on the catalogue alone",
            [(row.catalogue_share or 0.0) >= GOAL_CATALOGUE for row in found],
        ),
        (
            f"at least {GOAL_USERS:.0%} of it with {GOAL_SIZE:,} own users, or all where fewer",
            [(row.users_share or 0.0) >= GOAL_USERS for row in found],
        ),
        (
            f"fitted in under {GOAL_SECONDS / 60:.0f} minutes of computing on one core",
            [row.seconds < GOAL_SECONDS for row in found],
        ),
        (
            f"at least {GOAL_SAVED:.0%} less computing than the own model on all users, as good",
            [(row.saved or 0.0) >= GOAL_SAVED for row in found],
        ),
    )
    return tuple(Goal(text, sum(met), len(met)) for text, met in named)
