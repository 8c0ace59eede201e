"""The platform's own record of privacy spent: a chain of rows that no crash can shorten."""

from __future__ import annotations

from isthmus_client.ledger.heads import latest_head, recorded_heads
from isthmus_client.ledger.ledger import Ledger
from isthmus_client.ledger.place import default_path
from isthmus_client.ledger.values import Budget, Key, Reservation, Standing

__all__ = [
    "Budget",
    "Key",
    "Ledger",
    "Reservation",
    "Standing",
    "default_path",
    "latest_head",
    "recorded_heads",
]
