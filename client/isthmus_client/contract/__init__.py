"""The contract of a platform's data: a `platform.toml` says what lies where and means what."""

from __future__ import annotations

from isthmus_client.contract.loading import load_contract
from isthmus_client.contract.model import Contract, EventsTable, ItemsTable, Table

__all__ = ["Contract", "EventsTable", "ItemsTable", "Table", "load_contract"]
