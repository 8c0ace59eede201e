"""Track records of an earlier run, for the gates of this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from isthmus.errors import DataMissingError, ScenarioError
from isthmus_client.track_record import FOLDER, TrackRecord, require_usable
from isthmus_simulations.run_folder import MARK, RESULTS

Records = Mapping[str, TrackRecord]


def records_for(
    run: Path | None, platforms: Sequence[str], own: tuple[str, ...], test_start: str | None
) -> Records:
    """The records that an earlier run left of these platforms; empty without one.

    A platform that it left none of, since it was not there or has no times, is not among them.

    Args:
        run: the earlier run's folder.
        platforms: names of the members.
        own: the models that the gates know besides the candidate.
        test_start: ISO time at which the test window begins; None without times.

    Raises:
        ScenarioError: the split is not by the clock, so that nothing came earlier.
        DataMissingError: the run is not finished, or left no record of any of the platforms.
        DataInvalidError: a record is damaged, does not fit, or has seen the test window.
    """
    if run is None:
        return {}
    if test_start is None:
        raise ScenarioError(
            f"--record {run}: the scenario is split without times, so that no run is earlier",
            hint="leave --record out",
        )
    if (run / MARK).exists() and not (run / RESULTS).exists():
        raise DataMissingError(
            f"{run} is not finished, so that records may be missing",
            hint="run it to its end with the command that began it",
        )
    files = {name: run / FOLDER / f"{name}.json" for name in platforms}
    there = {name: path for name, path in files.items() if path.exists()}
    if not there:
        raise DataMissingError(
            f"{run} holds no track records of {', '.join(platforms)}",
            hint="name the folder of a finished run of `isthmus simulate` with times",
        )
    before = datetime.fromisoformat(test_start)
    return {name: _record(path, name, own, before) for name, path in there.items()}


def without_memory(platforms: Sequence[str], records: Records) -> tuple[str, ...]:
    """A line for each platform whose gate knows one window while others know two."""
    return tuple(
        f"{name}: the earlier run left no record of it, so that its gate knows one window"
        for name in platforms
        if name not in records
    )


def _record(path: Path, platform: str, own: tuple[str, ...], before: datetime) -> TrackRecord:
    found = TrackRecord.load(path)
    require_usable(found, path, platform=platform, own=own, before=before)
    return found
