"""What has to hold after a federation was disturbed: nothing lost, nothing twice, all paid for."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deployment import Federation, isthmus

from isthmus_client.ledger import Ledger
from isthmus_client.ledger.rows import Committed, Reserved
from isthmus_server.run_status import opened_state

_AGAIN = " again"
_UPDATES = {"update", "masked update"}


def left_over(folder: Path) -> list[str]:
    """Command lines of processes that still work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if f"{folder}/" in command:
            found.append(command)
    return found


def receipts(fed: Federation, name: str, run: str) -> list[Mapping[str, Any]]:
    """What left a platform in a run's rounds, in the order in which it left."""
    found = _lines(fed.folder / name / "federation" / "audit.jsonl")
    return [
        line
        for line in found
        if line.get("run") == run and line["kind"].removesuffix(_AGAIN) in _UPDATES
    ]


def _lines(path: Path) -> list[Mapping[str, Any]]:
    """Whole lines: the last one may be half written at this moment."""
    whole, _, _ = path.read_text().rpartition("\n")
    return [json.loads(text) for text in whole.splitlines()]


def require_each_round_once(fed: Federation, run: str, rounds: int) -> None:
    """State, files and audit log tell of the same rounds, each one time."""
    with opened_state(fed.home) as state:
        rows = [(row.round, row.fingerprint) for row in state.rounds.list(run)]
        assert state.runs.get(run).round == rounds
    told = [
        (line["round"], line["parameters"])
        for line in _lines(fed.home.audit)
        if line["kind"] == "round" and line["run"] == run
    ]
    files = sorted(fed.home.rounds(run).glob("round-*.json"))
    saved = [json.loads(path.read_text())["checkpoint"] for path in files]
    assert [number for number, _ in rows] == [*range(1, rounds + 1)]
    assert told == rows
    assert [(each["round"], each["fingerprint"]) for each in saved[1:]] == rows
    assert not [path.name for path in fed.home.rounds(run).iterdir() if path.name.startswith(".")]


def require_logs_hold(fed: Federation) -> None:
    """Every log is whole and signed, and is what the other sides saw of it."""
    ours = str(fed.home.audit)
    for name in fed.names:
        home = fed.folder / name / "federation"
        theirs = str(home / "audit.jsonl")
        mine = ("--key", str(home / "signing.pub"), "--against", ours, "--name", name)
        found = isthmus("audit", "verify", theirs, *mine)
        assert found["first_bad"] is None
        assert found["anchors"] > 0
        other = ("--key", str(home / "server.pub"), "--against", theirs, "--name", "server")
        assert isthmus("audit", "verify", ours, *other)["first_bad"] is None


def charges(fed: Federation, name: str) -> list[Reserved | Committed]:
    """What a platform's ledger charged and gave out; it was checked from its first row."""
    path = fed.folder / name / "federation" / "ledger.sqlite"
    with Ledger(path, read_only=True) as ledger:
        ledger.verify()
        return [row for row in ledger.entries() if isinstance(row, (Reserved, Committed))]


def require_paid(fed: Federation, name: str, run: str, rounds: Iterable[int]) -> int:
    """Hold a platform's receipts against its ledger; how often the same bytes left again.

    Each round's bytes are the same whenever they leave: other noise on the same users would cost,
    and would let two sums be compared.
    """
    rows = charges(fed, name)
    reserved = {row.number: row for row in rows if isinstance(row, Reserved) and row.run == run}
    paid = {
        (reserved[row.reservation].round, row.fingerprint)
        for row in rows
        if isinstance(row, Committed) and row.reservation in reserved
    }
    sent = receipts(fed, name, run)
    assert {(each["round"], each["sha256"]) for each in sent} <= paid, "left without a charge"
    assert all(each["ledger"] for each in sent)
    left = defaultdict(set)
    for each in sent:
        left[each["round"]].add(each["sha256"])
    assert {*left} == {*rounds}
    assert {number: len(found) for number, found in left.items()} == dict.fromkeys(left, 1)
    again = Counter(each["kind"].endswith(_AGAIN) for each in sent)
    assert again[False] <= len(reserved)
    return again[True]
