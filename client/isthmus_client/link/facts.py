"""What the operator may read of a platform in its heartbeats, and nothing else."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from isthmus.errors import StoreError
from isthmus_client.home import Home
from isthmus_client.worker.published import published_users
from isthmus_client.worker.status import RUN, read_status

TOLD: Final = ("state", "kind", "run", "round", "error")
"""Of the worker's status. Its `reason` is an error's text, which may quote what the platform alone
should know; of an error the operator learns its class."""


def facts_of(home: Home) -> dict[str, Any]:
    """The facts of one heartbeat.

    Guarantees:
        No text of an error, no path and no live count; of users the published number alone.
    """
    worker = read_status(home.federation / RUN / "worker.json") or {"state": "not started"}
    facts = {f"worker_{name}": worker[name] for name in TOLD if name in worker}
    told = _users(home)
    return {"version": version("isthmus"), **facts, **told}


def _users(home: Home) -> dict[str, int]:
    """Nothing where the file is damaged: that is the worker's to tell, a session goes on."""
    try:
        users = published_users(home)
    except StoreError:
        return {}
    return {} if users is None else {"users": users}
