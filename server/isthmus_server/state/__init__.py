"""The server's state: SQLite in its folder by default, PostgreSQL by URL."""

from __future__ import annotations

from isthmus_server.state.rows import (
    Decision,
    DecisionRow,
    EventRow,
    HeartbeatReply,
    InvitationRow,
    Level,
    PlatformRow,
    PlatformStatus,
    ReleaseRow,
    RoundRow,
    RunRow,
    RunStatus,
    SessionReply,
    Wanted,
)
from isthmus_server.state.state import State, open_state

__all__ = [
    "Decision",
    "DecisionRow",
    "EventRow",
    "HeartbeatReply",
    "InvitationRow",
    "Level",
    "PlatformRow",
    "PlatformStatus",
    "ReleaseRow",
    "RoundRow",
    "RunRow",
    "RunStatus",
    "SessionReply",
    "State",
    "Wanted",
    "open_state",
]
