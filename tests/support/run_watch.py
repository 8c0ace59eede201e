"""What `isthmus server run status` says, read again and again without a process for each look."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from deployment import Federation
from waiting import until

from isthmus_server.run_status import opened_state, run_view, server_is_up
from isthmus_server.state import EventRow

View = Mapping[str, Any]


class RunWatch:
    """Watches the runs of one federation; to be closed."""

    def __init__(self, fed: Federation) -> None:
        self._home = fed.home
        self._opened = opened_state(fed.home)
        self.state = self._opened.__enter__()

    def close(self) -> None:
        self._opened.__exit__(None, None, None)

    def view(self, run: str) -> View:
        up = server_is_up(self._home)
        found = run_view(self.state, run, datetime.now(UTC), up=up)
        assert found["reason"], f"{run} is {found['status']} without a reason"
        return found

    def until(self, run: str, wanted: Callable[[View], Any], seconds: float = 60) -> View:
        """The first view that is as wanted."""

        def look():
            found = self.view(run)
            return found if wanted(found) else None

        try:
            return until(look, seconds, run)
        except AssertionError as error:
            raise AssertionError(f"{error}; it stands at {self.view(run)}") from None

    def finished(self, run: str, seconds: float = 60) -> View:
        return self.until(run, lambda found: found["status"] == "finished", seconds)

    def at_round(self, run: str, number: int, seconds: float = 60) -> View:
        return self.until(run, lambda found: found["round"] >= number, seconds)

    def rounds(self, run: str) -> list[Mapping[str, Any]]:
        """The records of committed rounds."""
        return [row.record for row in self.state.rounds.list(run)]

    def cohorts(self, run: str) -> list[set[str]]:
        """Who was counted in each committed round."""
        return [set(record["platforms"]) for record in self.rounds(run)]

    def refused(self, run: str, platform: str) -> set[str]:
        """Why what a platform sent was not used, in all committed rounds."""
        return {
            each["reason"]
            for record in self.rounds(run)
            for each in record["refused"]
            if each["platform"] == platform
        }

    def events(self, run: str | None = None) -> list[EventRow]:
        return list(self.state.events.list(run=run, limit=200))
