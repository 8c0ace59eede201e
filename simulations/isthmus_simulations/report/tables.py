"""The tables of the report: platforms by models, and buckets by models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from isthmus_simulations.report import formats
from isthmus_simulations.report.verdicts import Kind, kind
from isthmus_simulations.results import (
    MAIN_DIFFERENCE,
    BucketMetrics,
    Metrics,
    ModelName,
    PlatformResults,
    Results,
)

GROUPS: tuple[tuple[str, tuple[ModelName, ...]], ...] = (
    ("Untrained baselines", ("popularity", "own_history", "item_knn", "prior")),
    ("Alone", ("local",)),
    ("Federation", ("content", "federated", "personalised")),
    ("Upper bound", ("pooled",)),
)


@dataclass(frozen=True)
class Cell:
    """One figure.

    Attributes:
        best: the highest of the models that a platform could really serve.
        served: the model that the gate chose.
    """

    text: str
    model: ModelName
    best: bool = False
    served: bool = False


@dataclass(frozen=True)
class Row:
    """One platform or bucket.

    Attributes:
        notes: small print below the name, line by line.
        lift: the main difference; "" in tables without it.
        gate: the model that is served; "" as above.
        federated: whether that is the federation's.
    """

    name: str
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    lift: str = ""
    kind: Kind = "unknown"
    gate: str = ""
    federated: bool = False


@dataclass(frozen=True)
class Table:
    """One table; `groups` are the headings over the columns, with their widths.

    Attributes:
        main: whether it carries the lift and the gate.
    """

    key: str
    title: str
    note: str
    groups: tuple[tuple[str, int], ...]
    columns: tuple[ModelName, ...]
    rows: tuple[Row, ...]
    main: bool = False


def metric_tables(results: Results) -> tuple[Table, ...]:
    """One table for each metric and protocol that has any figure."""
    wanted = (
        ("ndcg", "NDCG@10", "ndcg", False, _NOTES["ndcg"]),
        ("hr", "HR@10", "hr", False, _NOTES["hr"]),
        ("mrr", "MRR", "mrr", False, _NOTES["mrr"]),
        ("coverage", "Coverage@10", "coverage", False, _NOTES["coverage"]),
        ("repeat", "With repeats: NDCG@10", "ndcg", True, _NOTES["repeat"]),
        ("repeat-hr", "With repeats: HR@10", "hr", True, _NOTES["repeat"]),
    )
    tables = (_table(results, *each) for each in wanted)
    return tuple(table for table in tables if table.columns)


_NOTES = {
    "ndcg": "New-to-user items, full ranking, history masked. The primary figure.",
    "hr": "Share of test users with a target among the first ten. New-to-user items.",
    "mrr": "Mean reciprocal rank of a user's first target. New-to-user items.",
    "coverage": "Share of the catalogue that appears in any test user's first ten. More is not "
    "always better, so nothing is marked.",
    "repeat": "Unmasked: every item may be recommended, also those bought before, and every "
    "target counts. Says how well a model foresees repeat purchases.",
}


def _table(results: Results, key: str, title: str, field: str, repeat: bool, note: str) -> Table:
    """One metric over all platforms."""
    columns = _columns(_models(p, repeat) for p in results.platforms.values())
    main = key == "ndcg"
    rows = tuple(
        _platform_row(name, platform, columns, field, repeat=repeat, main=main)
        for name, platform in results.platforms.items()
    )
    return Table(key, title, note, _groups(columns), columns, rows, main=main)


def _models(platform: PlatformResults, repeat: bool) -> Mapping[ModelName, Metrics]:
    return platform.repeat_models if repeat else platform.models


def _columns(
    figures: Iterable[Mapping[ModelName, Metrics | BucketMetrics]],
) -> tuple[ModelName, ...]:
    """The models that have a figure anywhere, each below its heading of `GROUPS`."""
    found = [pair for models in figures for pair in models.items() if pair[1].ndcg is not None]
    # The user's own items cannot be new to the user: a column of zeros would say nothing.
    present = {model for model, figure in found if figure.ndcg or model != "own_history"}
    return tuple(model for _, models in GROUPS for model in models if model in present)


def _groups(columns: tuple[ModelName, ...]) -> tuple[tuple[str, int], ...]:
    """Headings over the columns that are there."""
    widths = ((title, sum(model in columns for model in models)) for title, models in GROUPS)
    return tuple((title, width) for title, width in widths if width)


def _platform_row(
    name: str,
    platform: PlatformResults,
    columns: tuple[ModelName, ...],
    field: str,
    *,
    repeat: bool,
    main: bool,
) -> Row:
    """One platform in one metric."""
    models = _models(platform, repeat)
    values = {m: getattr(models[m], field) for m in columns if m in models}
    served = platform.gate.served if platform.gate and main else None
    cells = _cells(values, columns, served, mark=field != "coverage")
    if not main:
        return Row(name, (f"{formats.count(_most_users(models))} test users",), cells)
    difference = platform.differences.get(MAIN_DIFFERENCE)
    return Row(
        name=name,
        notes=_facts(platform),
        cells=cells,
        lift=formats.lift(difference) if difference else formats.MISSING,
        kind=kind(difference),
        gate=formats.label(served) if served else formats.MISSING,
        federated=bool(platform.gate and platform.gate.decision == "federated"),
    )


def _most_users(models: Mapping[ModelName, Metrics]) -> int:
    return max((metrics.users for metrics in models.values()), default=0)


def _facts(platform: PlatformResults) -> tuple[str, ...]:
    """A platform's size in two lines."""
    return (
        f"{formats.count(platform.users)} users, {formats.count(platform.items)} items",
        f"{formats.count(platform.test_users)} test users",
    )


def _cells(
    values: Mapping[ModelName, float | None],
    columns: tuple[ModelName, ...],
    served: ModelName | None,
    *,
    mark: bool = True,
) -> tuple[Cell, ...]:
    """Figures in column order; the best is looked for among what can be served."""
    servable = [v for m, v in values.items() if v is not None and m != "pooled"]
    best = max(servable, default=0.0)
    return tuple(
        Cell(
            text=formats.metric(values.get(model)),
            model=model,
            best=mark and best > 0 and model != "pooled" and values.get(model) == best,
            served=model == served,
        )
        for model in columns
    )


def bucket_tables(results: Results, which: str) -> tuple[Table, ...]:
    """One table for each platform that has buckets of a kind, "history" or "item"."""
    found = (
        _bucket_table(f"{which}-{place}", name, getattr(platform.buckets, which))
        for place, (name, platform) in enumerate(results.platforms.items())
    )
    return tuple(table for table in found if table.columns)


def _bucket_table(
    key: str, name: str, buckets: Mapping[str, Mapping[ModelName, BucketMetrics]]
) -> Table:
    """One platform's buckets."""
    columns = _columns(buckets.values())
    rows = tuple(
        Row(
            name=bucket,
            notes=(f"{formats.count(max((b.users for b in models.values()), default=0))} users",),
            cells=_cells({m: found.ndcg for m, found in models.items()}, columns, None),
        )
        for bucket, models in buckets.items()
    )
    return Table(key, name, "", _groups(columns), columns, rows)
