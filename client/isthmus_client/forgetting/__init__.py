"""A person's right to be forgotten: out of the store, with a signed receipt of what is left."""

from __future__ import annotations

from isthmus_client.forgetting.owed import Owed, Places
from isthmus_client.forgetting.persons import read_ids
from isthmus_client.forgetting.receipts import Receipt, load_receipt
from isthmus_client.forgetting.removing import (
    Forgotten,
    Request,
    forget,
    look,
    require_kept_away,
    returned,
    summed,
)
from isthmus_client.forgetting.verifying import Verified, verify

__all__ = [
    "Forgotten",
    "Owed",
    "Places",
    "Receipt",
    "Request",
    "Verified",
    "forget",
    "load_receipt",
    "look",
    "read_ids",
    "require_kept_away",
    "returned",
    "summed",
    "verify",
]
