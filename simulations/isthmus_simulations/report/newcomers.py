"""The newcomer benchmark for a terminal and as one self-contained HTML file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from isthmus_client.pages import environment, plain_assets
from isthmus_client.trial_table import label, lift
from isthmus_simulations.newcomer_cells import Cell, Row, goals, rows
from isthmus_simulations.report import formats

MODELS = ("prior", "release", "popularity", "item_knn", "local", "personalised")


def document(cells: Sequence[Cell]) -> str:
    """The benchmark's JSON: the goals, a row for each newcomer, and every cell."""
    found = rows(cells)
    value = {
        "schema_version": 1,
        "goals": [vars(goal) for goal in goals(found)],
        "newcomers": [_plain_row(row) for row in found],
        "cells": [json.loads(cell.model_dump_json()) for cell in cells],
    }
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def _plain_row(row: Row) -> dict[str, Any]:
    return {
        "scenario": row.scenario,
        "newcomer": row.newcomer,
        "seeds": [cell.seed for cell in row.cells],
        "reference": row.cells[0].reference,
        "reference_ndcg@10": row.reference,
        "catalogue_share": row.catalogue_share,
        "users": row.largest,
        "users_share": row.users_share,
        "seconds": row.seconds,
        "saved": row.saved,
        "ndcg@10": {
            str(users): {model: row.mean(users, model) for model in MODELS}
            for users in sizes_of(row)
        },
    }


def sizes_of(row: Row) -> list[int]:
    """Every number of own users that a newcomer has, in ascending order."""
    return sorted({size.users for cell in row.cells for size in cell.sizes})


def render(cells: Sequence[Cell]) -> RenderableType:
    """Shares of the fully trained own model, then NDCG@10 by size, then the goals."""
    found = rows(cells)
    return Group(_shares(found), _figures(found), *(Text(line) for line in goal_lines(found)))


def goal_lines(found: Sequence[Row]) -> list[str]:
    """Each goal and how many newcomers meet it."""
    return [f"{goal.met} of {goal.newcomers} newcomers: {goal.text}" for goal in goals(found)]


def reference_name(found: Sequence[Row]) -> str:
    """What is compared with, in words."""
    names = {cell.reference for row in found for cell in row.cells}
    return "/".join(sorted(map(label, names)))


def _table(title: str, columns: Sequence[str]) -> Table:
    made = Table(title=Text(title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for place, column in enumerate(columns):
        made.add_column(column, justify="left" if not place else "right")
    return made


def _shares(found: Sequence[Row]) -> Table:
    title = f"Day one as a share of the own {reference_name(found)}, trained on all own users"
    made = _table(
        title, ("Newcomer", "Catalogue only", "With users", "Users", "All", "Seconds", "Saved")
    )
    for row in found:
        made.add_row(
            Text(f"{row.scenario} {row.newcomer}"),
            share(row.catalogue_share),
            share(row.users_share),
            formats.count(row.largest),
            formats.count(max(cell.users for cell in row.cells)),
            f"{row.seconds:.1f}",
            share(row.saved),
        )
    return made


def share(value: float | None) -> str:
    """A share as per cent."""
    return formats.MISSING if value is None else f"{100 * value:.0f} %"


def _figures(found: Sequence[Row]) -> Table:
    made = _table("NDCG@10, mean over seeds", ("Newcomer", "Own users", *map(label, MODELS)))
    for row in found:
        for users in sizes_of(row):
            figures = (formats.metric(row.mean(users, model)) for model in MODELS)
            made.add_row(Text(f"{row.scenario} {row.newcomer}"), formats.count(users), *figures)
    return made


def page(cells: Sequence[Cell]) -> str:
    """The page as text; a pure function of the cells."""
    filters = {"metric": formats.metric, "count": formats.count}
    made = environment(
        "isthmus_simulations.report", {**filters, "share": share, "label": label, "lift": lift}
    )
    found = rows(cells)
    return made.get_template("newcomers.html.j2").render(
        **plain_assets(),
        rows=found,
        goals=goal_lines(found),
        reference=reference_name(found),
        models=MODELS,
        sizes_of=sizes_of,
    )
