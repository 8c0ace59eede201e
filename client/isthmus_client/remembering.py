"""What a run or a trial leaves for the gate of a later one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from isthmus_client.certificate import window_record
from isthmus_client.evaluate import Evaluator
from isthmus_client.gate import Quality
from isthmus_client.track_record import TrackRecord, past_of
from isthmus_client.workspace import Workspace


def record_of(
    workspace: Workspace,
    release: str,
    candidate: str,
    qualities: Mapping[str, Quality],
    own: tuple[str, ...],
) -> TrackRecord | None:
    """What the candidate is worth on the test window, for the gate of a later run.

    None where events have no times, or fewer than two users were ranked.

    Args:
        release: its fingerprint.
        qualities: NDCG@10 of every model on the test users. each (users,)
    """
    window = window_record(Evaluator(workspace, "test"))
    past = past_of(candidate, qualities, own)
    if window.first is None or window.last is None or past is None:
        return None
    return TrackRecord(
        created=datetime.now(UTC).replace(microsecond=0),
        platform=workspace.platform.name,
        release=release,
        first=window.first,
        last=window.last,
        past=past,
    )
