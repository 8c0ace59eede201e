"""Where a run stands, for the person who has to do something about it, or nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from isthmus.errors import StateError
from isthmus.federation_contract import FederationContract
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import load_settings
from isthmus_server.state import DecisionRow, PlatformRow, RoundRow, RunRow, State, open_state

REFUSALS_SHOWN: Final = 20  # the latest
EVENTS_SHOWN: Final = 20  # the latest
ENDED: Final = frozenset({"stopped", "finished", "failed"})
LEAST_FREE: Final = 1024 * 1024
"""Bytes that a disk has left, below which it counts as full."""

_DONE: Final = "all of its rounds are done"


@contextmanager
def opened_state(home: ServerHome) -> Iterator[State]:
    """The state of a server that was made, whether or not it is up.

    Raises:
        DataMissingError, ScenarioError: there is no server there, or its settings are wrong.
        StateError: the state cannot be opened.
    """
    with open_state(load_settings(home).database_url(home)) as state:
        yield state


def server_is_up(home: ServerHome) -> bool:
    """Whether `isthmus server up` runs in this folder now, by the process that it names there."""
    try:
        number = int((home.runtime / "up.lock").read_text())
        os.kill(number, 0)  # signal 0 asks whether there is such a process, and does nothing
    except PermissionError:
        return True  # somebody else's, but there
    except (OSError, ValueError):
        return False
    return True


def disk_trouble(home: ServerHome, least: int = LEAST_FREE) -> str:
    """That a disk of the server is full, which the state may have no room to say; "" = it is not.

    Args:
        home: the server's.
        least: bytes left below which a disk counts as full.

    Raises:
        OSError: the server's folder cannot be looked at.
    """
    for folder in (home.folder, home.runs):
        if folder.exists() and (free := shutil.disk_usage(folder).free) < least:
            return f"the disk of {folder} is full ({free // 1024} KiB left): make room"
    return ""


def run_view(
    state: State, run: str, now: datetime, *, up: bool, trouble: str = ""
) -> dict[str, Any]:
    """Everything about a run, as plain JSON.

    Args:
        state: the server's.
        run: its id.
        now: UTC.
        up: whether the server's processes run.
        trouble: of the server's machine, which keeps every run that is not over; "" = none.

    Guarantees:
        `reason` is never empty.

    Raises:
        StateError: there is no such run.
        MessageRefusedError: its contract in the state is damaged.
    """
    row = require_run(state, run)
    contract = FederationContract.from_bytes(row.contract)
    rounds = state.rounds.list(run)
    events = [e for e in state.events.list(run=run, limit=200) if e.level != "info"]
    return {
        **_troubled(summary(row, contract), trouble),
        "server_up": up,
        "contract": row.contract_sha256,
        "encoder": contract.encoder_sha256,
        "minimum": contract.minimum,
        "secure": contract.secure,
        "deadline_s": contract.deadline_s,
        "platforms": _platforms(state, row, contract, now),
        "refusals": _refusals(rounds),
        "alarms": [
            {"at": _iso(e.last), "level": e.level, "kind": e.kind, "text": e.text, "times": e.times}
            for e in events[:EVENTS_SHOWN]
        ],
        "privacy": privacy_view(contract, row.round),
        "seconds": {
            "last_round": rounds[-1].seconds if rounds else None,
            "mean_round": sum(r.seconds for r in rounds) / len(rounds) if rounds else None,
        },
    }


def _troubled(line: dict[str, Any], trouble: str) -> dict[str, Any]:
    """A run's line, whose reason begins with the trouble, unless the run is over."""
    over = not trouble or line["status"] in ENDED
    return line if over else {**line, "reason": f"{trouble}; {line['reason']}"}


def _ended(row: RunRow, contract: FederationContract) -> str:
    """Why a run that tells no reason has ended."""
    if row.status == "finished" and row.round < contract.rounds:
        return f"ended early: {contract.patience} rounds brought no better validation"
    return _DONE


def summary(row: RunRow, contract: FederationContract) -> dict[str, Any]:
    """A run in a line of a list."""
    return {
        "run": row.id,
        "name": contract.name,
        "status": row.status,
        "wanted": row.wanted,
        "reason": row.reason or _ended(row, contract),
        "round": row.round,
        "rounds": contract.rounds,
        "attempt": row.attempt,
        "rollback_to": row.rollback_to,
        "trust": contract.trust,
        "members": sorted(contract.members),
        "created": _iso(row.created),
        "updated": _iso(row.updated),
    }


def all_runs(state: State) -> list[dict[str, Any]]:
    """Every run in a line, the oldest first.

    Raises:
        MessageRefusedError: a contract in the state is damaged.
    """
    rows = state.runs.list()
    return [summary(row, FederationContract.from_bytes(row.contract)) for row in rows]


def require_run(state: State, run: str) -> RunRow:
    """The run.

    Raises:
        StateError: there is none of this id; names those that there are.
    """
    row = state.runs.get(run)
    if row is None:
        known = ", ".join(each.id for each in state.runs.list()) or "none"
        raise StateError(f"there is no run {run!r}", hint=f"known runs: {known}")
    return row


def privacy_view(contract: FederationContract, rounds: int) -> dict[str, Any] | None:
    """What the committed rounds cost each user at most; None without privacy.

    A round that was tried again with fresh noise is charged again by the platforms, whose own
    ledgers say exactly what was spent; the rounds to spare in the contract are for that.
    """
    if contract.trust == "none":
        return None
    spent = 0.0
    if rounds:
        from isthmus.privacy.accounting import epsilon  # noqa: PLC0415 - slow
        from isthmus.privacy.events import Event  # noqa: PLC0415 - with it

        plan = contract.plan
        event = Event(plan.noise_multiplier, plan.sampling_rate, rounds)
        spent = epsilon([event], contract.delta)
    return {
        "trust": contract.trust,
        "epsilon": contract.epsilon,
        "delta": contract.delta,
        "spent_by_committed_rounds": spent,
        "rounds_paid_for": contract.paid_rounds,
    }


def _platforms(
    state: State, row: RunRow, contract: FederationContract, now: datetime
) -> list[dict[str, Any]]:
    """Each member: its answer, and how it is."""
    answers = {each.platform: each for each in state.runs.decisions(row.id)}
    known = {each.name: each for each in state.platforms.list()}
    return [
        {"name": name, **_answer(answers.get(name)), **_health(known.get(name), now)}
        for name in sorted(contract.members)
    ]


def _answer(found: DecisionRow | None) -> dict[str, Any]:
    if found is None:
        return {"answer": "waits", "answer_reason": "it has not answered the contract yet"}
    return {"answer": found.decision, "answer_reason": found.reason}


def _health(row: PlatformRow | None, now: datetime) -> dict[str, Any]:
    if row is None:
        return {"status": "unknown", "status_note": "no such platform", "last_seen_s": None}
    seen = None if row.last_seen is None else max(0.0, (now - row.last_seen).total_seconds())
    return {
        "status": row.status,
        "status_note": row.status_note,
        "last_seen": _iso(row.last_seen),
        "last_seen_s": None if seen is None else round(seen, 1),
        "skew_s": row.skew_s,
        "facts": dict(row.facts),
    }


def _refusals(rounds: tuple[RoundRow, ...]) -> list[dict[str, Any]]:
    """What was not used in committed rounds, the latest first."""
    found = []
    for each in reversed(rounds):
        for refused in each.record.get("refused", ()):
            if isinstance(refused, Mapping):
                told = {key: refused.get(key, "") for key in ("platform", "reason")}
                found.append({"round": each.round, **told})
        silent = each.record.get("missing", ())
        found += [
            {"round": each.round, "platform": name, "reason": "no answer up to the deadline"}
            for name in silent
        ]
    return found[:REFUSALS_SHOWN]


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat(timespec="seconds")
