"""An earlier trial, as the gate of a later one remembers it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from isthmus.errors import DataInvalidError
from isthmus_client.day_one_models import OWN
from isthmus_client.own_platform import OwnPlatform
from isthmus_client.track_record import Past, require_usable
from isthmus_client.trial_results import TrialResults

RESULTS: Final = "trial.json"


def earlier_past(trial: Path | None, own: OwnPlatform) -> Past | None:
    """What an earlier trial's candidate turned out to be worth; None without one.

    Args:
        trial: folder of the earlier trial.
        own: the platform, to be tried anew.

    Raises:
        DataMissingError: no trial is there.
        DataInvalidError: it has no record, or one that does not fit or has seen the test window.
    """
    if trial is None:
        return None
    path = trial / RESULTS
    found = TrialResults.load(path).record
    if found is None or own.test_start is None:
        raise DataInvalidError(
            f"{path} has no track record, or your events have no times: nothing came earlier",
            hint="leave --record out",
        )
    before = datetime.fromisoformat(own.test_start)
    require_usable(found, path, platform=own.platform.name, own=OWN, before=before)
    return found.past
