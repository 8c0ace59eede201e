"""Fetch the releases that approved runs start from."""

from __future__ import annotations

import logging
from typing import Final

from isthmus.errors import IsthmusError
from isthmus_client.approvals_offers import ENDED, standings
from isthmus_client.home import Home
from isthmus_client.link.session import Session
from isthmus_client.worker.releases import release_of, releases_folder

_SEED: Final = "seed"
_log = logging.getLogger(__name__)


def fetch_starts(home: Home, session: Session) -> None:
    """Fetch what is missing; one that cannot be fetched is told, and tried at the next heartbeat.

    Args:
        home: the platform's.
        session: an open one.
    """
    for each in standings(home):
        contract, decided = each.contract, each.decided
        over = each.status in ENDED or decided is None or decided.answer != "approved"
        if over or contract.initial == _SEED or release_of(home, contract.initial) is not None:
            continue
        folder = releases_folder(home) / contract.initial[:16]
        try:
            session.fetch_release("", folder, run=contract.release_of)
        except (IsthmusError, OSError) as error:
            _log.warning("the release that run %s starts from: %s", contract.run, error)
