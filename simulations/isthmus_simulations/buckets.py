"""Buckets in the form of results.json."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus_client.buckets import Table, by_history, by_item
from isthmus_client.ranking import Ranking
from isthmus_client.workspace import Workspace
from isthmus_simulations.results import BucketMetrics, Buckets, ModelName


def buckets_of(workspace: Workspace, rankings: Mapping[ModelName, Ranking]) -> Buckets:
    """Buckets of the test window; empty ones are left out."""
    named: dict[str, Ranking] = dict(rankings.items())

    def typed(table: Table) -> dict[str, dict[ModelName, BucketMetrics]]:
        return {bucket: {name: row[name] for name in rankings} for bucket, row in table.items()}

    return Buckets(
        history=typed(by_history(workspace, named)), item=typed(by_item(workspace, named))
    )
