"""What a heartbeat tells the server: that the platform lives, its clock, its log, itself."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from typing import Any, Final

from isthmus.audit_log import Anchor, anchors_in
from isthmus.control import control_pb2 as wire
from isthmus.control.anchoring import write_anchor
from isthmus.control.limits import (
    LINES_REFILL_S,
    MAX_FACTS,
    MEMBER_LINES,
    SKEW_REFUSED_S,
    SKEW_WARNED_S,
    TOLD_AT_ONCE,
    TOLD_REFILL_S,
)
from isthmus.control.reasons import RefusedError
from isthmus.errors import StateError
from isthmus_server.control.federation import Federation
from isthmus_server.control.places import Allowance
from isthmus_server.state import Level

_ROUND_TRIP_S: Final = 30.0  # the longest that is believed
_HASH: Final = 64  # hexadecimal digits


class Heartbeats:
    """Notes heartbeats in the state and the audit log."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._anchored: dict[str, Anchor | None] = {}
        self._lock = threading.Lock()
        self._lines = Allowance(MEMBER_LINES, LINES_REFILL_S)
        self._told = Allowance(TOLD_AT_ONCE, TOLD_REFILL_S)

    def note(self, name: str, request: wire.HeartbeatRequest) -> None:
        """Note one.

        Raises:
            RefusedError: it is no heartbeat, of another session, or the clocks are too far apart.
            OSError, AuditError: the server's log cannot be written.
        """
        facts, anchor = _facts(request.facts_json), _anchor(request.audit)
        skew = self._skew(name, request)
        try:
            answer = self._federation.state.platforms.heartbeat(
                name,
                request.ticket,
                at=self._federation.now,
                skew_s=skew,
                facts=facts,
                audit_lines=anchor.lines,
                audit_head=anchor.hash,
            )
        except StateError as error:
            raise RefusedError("invalid" if "facts" in str(error) else "failed") from error
        if answer == "clone":
            self._federation.write("clone", platform=name)
        if answer != "ok":
            raise RefusedError(answer)
        self._write_anchor(name, anchor)

    def _skew(self, name: str, request: wire.HeartbeatRequest) -> float:
        """The platform's clock less ours, half of the round trip taken off; the operator is told.

        Raises:
            RefusedError: it is above what can be tolerated, or no number.
        """
        if not math.isfinite(request.time) or not math.isfinite(request.round_trip_s):
            raise RefusedError("invalid")
        way = min(max(request.round_trip_s, 0.0), _ROUND_TRIP_S) / 2
        skew = request.time + way - self._federation.wall()
        how = "ahead of" if skew > 0 else "behind"
        text = f"the clock of {name} is {abs(skew):.0f} s {how} the server's"
        if abs(skew) > SKEW_REFUSED_S:
            end = f"; it cannot take part above {SKEW_REFUSED_S:g} s"
            self._tell("alarm", text + end, name)
            raise RefusedError("clock", text)
        if abs(skew) > SKEW_WARNED_S:
            self._tell("warning", text, name)
        return skew

    def _tell(self, level: Level, text: str, name: str) -> None:
        """Tell the operator of a clock, which may be another with each call, now and then."""
        if self._told.take(name):
            self._federation.state.events.add(level, "clock", text, platform=name)

    def _write_anchor(self, name: str, anchor: Anchor) -> None:
        """Write how far the platform's log has come, where that is news.

        A platform whose log grows with every call is written of now and then.
        """
        log = self._federation.log
        with self._lock:
            if name not in self._anchored:
                seen = anchors_in(log.path, name) if log.path.exists() else ()
                self._anchored[name] = seen[-1] if seen else None
            news = anchor != self._anchored[name] and self._lines.take(name)
            if news and write_anchor(log, name, anchor, self._anchored[name]):
                self._anchored[name] = anchor


def _facts(text: str) -> Mapping[str, Any]:
    """What a platform tells of itself.

    Raises:
        RefusedError: it is no object of JSON, or too long.
    """
    if len(text.encode()) > MAX_FACTS:
        raise RefusedError("invalid")
    try:
        value: Any = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise RefusedError("invalid") from None
    if not isinstance(value, dict):
        raise RefusedError("invalid")
    return value


def _anchor(told: wire.Anchor) -> Anchor:
    """How far a platform says that its log has come.

    Raises:
        RefusedError: it is none.
    """
    digits = told.hash
    if told.lines >= 2**63 or (len(digits) != _HASH and told.lines):
        raise RefusedError("invalid")
    if not set(digits) <= set("0123456789abcdef"):
        raise RefusedError("invalid")
    return Anchor(told.lines, digits)
