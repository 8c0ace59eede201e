"""What keeps a run from going on, in words for the operator; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from isthmus_server.state import DecisionRow, RunRow


@dataclass(frozen=True)
class Outlook:
    """Whether a run can have a round now.

    Attributes:
        reason: what it waits for; "" = nothing.
        complete: whether everybody who may still come is there.
        ready: platforms that agreed and are there, by name.
    """

    reason: str
    complete: bool
    ready: tuple[str, ...] = ()


def next_run(rows: Iterable[RunRow]) -> RunRow | None:
    """The run whose turn it is: the oldest that is wanted and not over."""
    wanted = [row for row in rows if row.wanted == "run" and row.status != "finished"]
    return min(wanted, key=lambda row: (row.created, row.id), default=None)


def outlook(
    members: Collection[str],
    minimum: int,
    decisions: Sequence[DecisionRow],
    approved: Collection[str],
    online: Collection[str],
) -> Outlook:
    """What a run waits for.

    Args:
        members: of its contract.
        minimum: platforms without which a round cannot be finished.
        decisions: what platforms answered to the contract.
        approved: platforms that the operator lets take part.
        online: platforms that are there.
    """
    agreed = {row.platform for row in decisions if row.decision == "approved"} & {*members}
    refused = {row.platform: row.reason for row in decisions if row.decision == "refused"}
    barred = agreed - {*approved}
    able = agreed & {*approved}
    open_ = sorted({*members} - agreed - refused.keys())
    if len(able) < minimum:
        return Outlook(_too_few(open_, refused, barred, len(able), minimum), complete=False)
    there = tuple(sorted(able & {*online}))
    away = sorted(able - {*online})
    if len(there) < minimum:
        reason = f"waits for platforms: have {len(there)} of {minimum}, missing {', '.join(away)}"
        return Outlook(reason, complete=False, ready=there)
    return Outlook("", complete=not away and not open_, ready=there)


def _too_few(
    open_: Sequence[str], refused: dict[str, str], barred: Collection[str], have: int, least: int
) -> str:
    """Why not enough platforms may take part."""
    parts = []
    if open_:
        parts.append(f"waits for approval by: {', '.join(open_)}")
    if refused:
        told = "; ".join(f"{name}: {reason or 'no reason given'}" for name, reason in
                         sorted(refused.items()))  # fmt: skip
        parts.append(f"refused by {told}")
    if barred:
        parts.append(f"not approved by the operator any more: {', '.join(sorted(barred))}")
    return f"{', and '.join(parts)} (have {have} of {least})"
