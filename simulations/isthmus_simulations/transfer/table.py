"""The figures as one CSV: a row for each scenario, platform and model."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from isthmus.files import write_text
from isthmus_simulations.transfer.results import PlatformTransfer, TransferResults

COLUMNS = (
    "scenario",
    "platform",
    "users",
    "test_users",
    "model",
    "role",
    "ndcg@10",
    "std_over_seeds",
    "hr@10",
    "mrr",
    "coverage@10",
    "gate_ndcg@10",
    "candidate_lift",
    "lift_low",
    "lift_high",
    "p_holm",
    "verdict",
)


def write_table(results: TransferResults, path: Path) -> None:
    """Write the CSV, wholly or not at all. A missing figure is an empty field.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for platform in results.platforms:
        writer.writerows(_rows(platform, results.method.candidate))
    write_text(path, stream.getvalue())


def _rows(platform: PlatformTransfer, candidate: str) -> Iterator[tuple[object, ...]]:
    """One row a model; the comparison stands in the candidate's."""
    main = platform.comparisons.get("candidate")
    nothing: tuple[object, ...] = (None,) * 5
    for name, model in platform.models.items():
        compared = nothing
        if main is not None and name == candidate:
            found = main.difference
            ends = (found.relative, found.relative_low, found.relative_high)
            compared = (*ends, main.p_holm, main.verdict)
        yield (
            platform.scenario,
            platform.platform,
            platform.users,
            platform.test_users,
            name,
            model.role,
            model.ndcg,
            model.std,
            model.hr,
            model.mrr,
            model.coverage,
            model.gate,
            *compared,
        )
