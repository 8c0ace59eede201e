"""A platform's own store: pseudonymised events and items, sealed, one generation at a time."""

from __future__ import annotations

from isthmus_client.store.ingest import ingest
from isthmus_client.store.mapped import map_descriptor
from isthmus_client.store.result import FeedResult, IngestResult
from isthmus_client.store.store import Store

__all__ = ["FeedResult", "IngestResult", "Store", "ingest", "map_descriptor"]
