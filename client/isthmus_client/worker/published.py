"""The platform's published number of training users: told once, and a constant from then on.

A private run's rates, divisors and delta rest on it. If it followed the live count, whoever reads
it could tell when somebody came or went.
"""

from __future__ import annotations

import json
from typing import Final

from isthmus.errors import StoreError
from isthmus.files import write_json
from isthmus.privacy.schedule import published
from isthmus_client.home import Home

PUBLISHED: Final = "published.json"
"""In `federation/`: `{"users": N}`. To publish another number, write it there; where the file is
deleted, the worker counts again."""


def published_users(home: Home) -> int | None:
    """What the operator is told; None = nothing was published yet.

    Raises:
        StoreError: the file holds something else.
    """
    path = home.federation / PUBLISHED
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        found = None
    users = found.get("users") if isinstance(found, dict) and len(found) == 1 else None
    if type(users) is not int or users < 2:  # noqa: PLR2004 - one has nobody to hide among
        raise StoreError(
            f"{path} does not say how many users this platform publishes",
            hint='write {"users": N} there, or delete it: then the worker counts again',
        )
    return users


def publish(home: Home, training_users: int) -> int | None:
    """The published number; made of the live count where there is none yet, and kept.

    Args:
        home: the platform's.
        training_users: the live count, of which two digits are kept, tens at the finest.

    Guarantees:
        Once a number is published, no live count changes it.

    Returns:
        None for fewer than ten users, of whom nothing is published.

    Raises:
        StoreError: the file holds something else.
        OSError: it cannot be written.
    """
    if (kept := published_users(home)) is not None:
        return kept
    if (users := published(training_users)) < 1:
        return None
    write_json(home.federation / PUBLISHED, {"users": users})
    return users
