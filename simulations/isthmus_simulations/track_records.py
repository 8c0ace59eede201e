"""Track records of an earlier run, for the gates of this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from isthmus.errors import DataMissingError, ScenarioError
from isthmus_client.track_record import FOLDER, TrackRecord, require_usable

Records = Mapping[str, TrackRecord]


def records_for(
    run: Path | None, platforms: Sequence[str], own: tuple[str, ...], test_start: str | None
) -> Records:
    """Each platform's record of an earlier run; empty without one.

    Args:
        run: the earlier run's folder.
        platforms: names of the members.
        own: the models that the gates know besides the candidate.
        test_start: ISO time at which the test window begins; None without times.

    Raises:
        ScenarioError: the split is not by the clock, so that nothing came earlier.
        DataMissingError: the run has no record of a platform.
        DataInvalidError: a record is damaged, does not fit, or has seen the test window.
    """
    if run is None:
        return {}
    if test_start is None:
        raise ScenarioError(
            f"--record {run}: the scenario is split without times, so that no run is earlier",
            hint="leave --record out",
        )
    if not (run / FOLDER).is_dir():
        raise DataMissingError(
            f"{run} holds no track records",
            hint="name the folder of a finished run of `isthmus simulate` with times",
        )
    before = datetime.fromisoformat(test_start)
    return {name: _record(run, name, own, before) for name in platforms}


def _record(run: Path, platform: str, own: tuple[str, ...], before: datetime) -> TrackRecord:
    path = run / FOLDER / f"{platform}.json"
    found = TrackRecord.load(path)
    require_usable(found, path, platform=platform, own=own, before=before)
    return found
