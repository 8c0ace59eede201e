"""How a platform's part in its federation stands: identity, processes, runs, privacy, outbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from isthmus.errors import IsthmusError
from isthmus.identity import platform_of
from isthmus_client.approvals import Standing, standing
from isthmus_client.approvals_files import runs_offered
from isthmus_client.home import Home
from isthmus_client.link.enrolled import Enrolment, certificate_path
from isthmus_client.outbox_lines import departures
from isthmus_client.worker.status import RUN, read_status

PROCESSES: Final = ("node", "worker")
LEDGER: Final = "ledger.sqlite"


def federation_view(home: Home, now: datetime) -> dict[str, Any]:
    """Everything that a platform's engineer asks first, as plain JSON.

    Works whether or not `isthmus client up` runs. What cannot be read is told in its place.

    Args:
        home: of a platform that has joined.
        now: UTC.

    Raises:
        IdentityError: the platform has joined no federation.
    """
    enrolment = Enrolment.load(home)
    return {
        "name": enrolment.name,
        "federation": enrolment.federation,
        "server": enrolment.server,
        "fingerprint": enrolment.fingerprint,
        "certificate": _certificate(home, now),
        "processes": {name: _process(home, name) for name in PROCESSES},
        "runs": runs_view(home),
        "privacy": _privacy(home),
        "outbox": _outbox(home),
    }


def runs_view(home: Home) -> list[dict[str, Any]]:
    """Every run that was offered; one that cannot be read says why."""
    return [_run(home, run) for run in runs_offered(home)]


def run_line(found: Standing) -> dict[str, Any]:
    """A run that was offered, and this platform's answer."""
    contract, decided = found.contract, found.decided
    return {
        "run": contract.run,
        "name": contract.name,
        "status": found.status,
        "contract_sha256": contract.sha256,
        "rounds": contract.rounds,
        "trust": contract.trust,
        "epsilon": contract.epsilon,
        "answer": "waits" if decided is None else decided.answer,
        "by": None if decided is None else decided.by,
        "reason": _reason(found),
        "problems": list(found.problems),
    }


def _reason(found: Standing) -> str:
    if found.decided is None:
        return f"waits for an answer: isthmus client approve-run {found.contract.run}"
    return found.decided.reason or "no reason was given"


def _run(home: Home, run: str) -> dict[str, Any]:
    try:
        return run_line(standing(home, run))
    except IsthmusError as error:
        return {"run": run, "answer": "unreadable", "reason": str(error), "problems": []}


def _certificate(home: Home, now: datetime) -> dict[str, Any]:
    try:
        found = platform_of(certificate_path(home).read_bytes())
    except OSError:
        return {"state": "none", "reason": "the operator has not approved this platform yet"}
    except IsthmusError as error:
        return {"state": "damaged", "reason": str(error)}
    left = (found.not_after - now).total_seconds()
    told = {"not_after": found.not_after.isoformat(timespec="seconds"), "seconds_left": left}
    if left > 0:
        return {"state": "good", "reason": "", **told}
    return {"state": "expired", "reason": "isthmus client up asks for another", **told}


def _process(home: Home, name: str) -> dict[str, Any]:
    """What a process told last, if it still lives."""
    told = read_status(home.federation / RUN / f"{name}.json")
    if told is None:
        return {"state": "stopped", "reason": "it has not run yet: isthmus client up"}
    if not _lives(told.get("pid")):
        return {**told, "state": "stopped", "reason": "it does not run: isthmus client up"}
    return told


def _lives(pid: object) -> bool:
    """Whether there is a process of this number; on other systems than Linux: not known, so yes."""
    proc = Path("/proc")
    return type(pid) is int and (not (proc / "self").exists() or (proc / str(pid)).exists())


def _privacy(home: Home) -> dict[str, Any]:
    """The ledger's words, without the tight figure, which takes seconds."""
    path = home.federation / LEDGER
    if not path.exists():
        return {"ledger": None, "reason": "nothing private was asked for yet"}
    from isthmus.privacy.accounting import rdp_epsilon  # noqa: PLC0415 - slow
    from isthmus_client.ledger import Ledger  # noqa: PLC0415 - with it

    try:
        with Ledger(path, read_only=True) as ledger:
            budget = ledger.budget
            keys = ledger.keys()
            spent = [rdp_epsilon(ledger.events(key), budget.delta) for key in keys]
    except IsthmusError as error:
        return {"ledger": str(path), "reason": str(error)}
    most = max(spent, default=0.0)
    return {
        "ledger": str(path),
        "budget": asdict(budget),
        "spent_at_most": min(most, budget.epsilon),
        "reason": "",
    }


def _outbox(home: Home) -> Mapping[str, Any]:
    try:
        found = departures(home)
    except (IsthmusError, OSError) as error:
        return {"departures": None, "bytes": None, "reason": str(error)}
    last = found[-1] if found else None
    return {
        "departures": len(found),
        "bytes": sum(int(each.get("bytes", 0)) for each in found),
        "last_run": None if last is None else last["run"],
        "last_round": None if last is None else last.get("round"),
        "reason": "",
    }
