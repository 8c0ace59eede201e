"""What a person's removal from the store does not undo, read from ledger, receipts and heads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from isthmus.audit_log import verify_log
from isthmus.errors import DataMissingError, LedgerError
from isthmus_client.ledger import Ledger
from isthmus_client.ledger.rows import Committed, Reserved, Row

Record = Literal["read", "absent", "unreadable"]
Receipts = Literal["read", "absent", "unreadable", "others"]

LEFT = frozenset({"update", "update again", "masked update"})
FIGURES = "metrics"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Run(_Part):
    """Rounds of one run in which something of this platform left.

    Attributes:
        run: its name.
        rounds: so many.
        first: when the first of them was written down; ISO 8601, UTC.
        last: the same of the last.
    """

    run: str
    rounds: int
    first: str
    last: str


class PrivateRun(Run):
    """Rounds that the ledger charged.

    Attributes:
        data_set: as the ledger names it.
        left: rounds of them whose bytes may have left; the others crashed, and stay charged.
    """

    data_set: str
    left: int


class Spent(_Part):
    """What all rounds of a data set cost each of its users.

    Attributes:
        epsilon: at `delta`, for rounds that were fixed before the first of them.
        budget: epsilon at `delta` that holds however rounds were chosen.
    """

    data_set: str
    unit: str
    epsilon: float
    budget: float
    delta: float
    rounds: int


class Owed(_Part):
    """What is still owed, and what is not.

    Attributes:
        ledger: whether the ledger of privacy spent was read.
        outbox: whether the outbox's receipts were read; "others" = they were, and none is in this
            platform's name.
        private: runs with charged rounds.
        spent: by data set.
        unprotected: runs of which updates left without a charge, that is without noise.
        figures: times that evaluation figures left without noise.
        heads: files of private models that were fitted before.
    """

    ledger: Record
    outbox: Receipts
    private: tuple[PrivateRun, ...] = ()
    spent: tuple[Spent, ...] = ()
    unprotected: tuple[Run, ...] = ()
    figures: int = 0
    heads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Places:
    """Where to look.

    Attributes:
        ledger: a file.
        ledger_named: whether a person named it; a named one must be there.
        outbox: a file of receipts, or a folder of `*.jsonl`; None = not named.
        heads: folder of private models.
    """

    ledger: Path
    ledger_named: bool
    outbox: Path | None
    heads: Path

    def require(self) -> None:
        """That what a person named is there.

        Raises:
            DataMissingError: it is not.
        """
        if self.ledger_named and not self.ledger.is_file():
            raise DataMissingError(f"there is no ledger at {self.ledger}", hint="see --ledger")
        if self.outbox is not None and not _files(self.outbox):
            raise DataMissingError(f"there are no receipts at {self.outbox}", hint="see --outbox")


def find_owed(places: Places, platform: str) -> Owed:
    """All that is on record. A damaged record is called one; it keeps nobody from being forgotten.

    Args:
        places: where to look.
        platform: whose receipts count, where there are those of several.
    """
    ledger, private, spent = _ledger(places.ledger)
    outbox, unprotected, figures = _outbox(places.outbox, platform)
    heads = sorted(path.name for path in places.heads.glob("*") if path.is_file())
    return Owed(
        ledger=ledger,
        outbox=outbox,
        private=private,
        spent=spent,
        unprotected=unprotected,
        figures=figures,
        heads=tuple(heads),
    )


def _ledger(path: Path) -> tuple[Record, tuple[PrivateRun, ...], tuple[Spent, ...]]:
    if not path.exists():
        return "absent", (), ()
    try:
        with Ledger(path, read_only=True) as ledger:
            keys = ledger.keys()
            standings = [ledger.standing(key) for key in keys]
            rows = ledger.entries()
    except (LedgerError, DataMissingError):
        return "unreadable", (), ()
    spent = tuple(
        Spent(
            data_set=each.key.data,
            unit=each.key.unit,
            epsilon=each.spent,
            budget=each.budget.epsilon,
            delta=each.budget.delta,
            rounds=each.rounds,
        )
        for each in standings
        if each.rounds
    )
    return "read", _private_runs(rows), spent


def _private_runs(rows: Iterable[Row]) -> tuple[PrivateRun, ...]:
    """Charged rounds by run and data set, in the order of their first one."""
    listed = list(rows)
    committed = {row.reservation for row in listed if isinstance(row, Committed)}
    charged: dict[tuple[str, str], list[Reserved]] = {}
    for row in listed:
        if isinstance(row, Reserved):
            charged.setdefault((row.run, row.data), []).append(row)
    return tuple(
        PrivateRun(
            run=run,
            data_set=data,
            rounds=len(found),
            left=sum(row.number in committed for row in found),
            first=_moment(min(row.time for row in found)),
            last=_moment(max(row.time for row in found)),
        )
        for (run, data), found in charged.items()
    )


def _outbox(path: Path | None, platform: str) -> tuple[Receipts, tuple[Run, ...], int]:
    if path is None:
        return "absent", (), 0
    receipts: list[Mapping[str, Any]] = []
    try:
        for file in _files(path):
            if verify_log(file).first_bad is not None:
                return "unreadable", (), 0
            receipts += [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
        return _departures(receipts, platform)
    except (OSError, KeyError, TypeError, ValueError, OverflowError):  # whole, and yet none of ours
        return "unreadable", (), 0


def _departures(
    receipts: Sequence[Mapping[str, Any]], platform: str
) -> tuple[Receipts, tuple[Run, ...], int]:
    """What left in the platform's name without a charge; an audit log has other lines besides."""
    left = [each for each in receipts if each["kind"] in {*LEFT, FIGURES}]
    own = [each for each in left if each["platform"] == platform]
    figures = sum(each["kind"] == FIGURES for each in own)
    plain = [each for each in own if each["kind"] in LEFT and each.get("ledger") is None]
    return "others" if receipts and not own else "read", _plain_runs(plain), figures


def _plain_runs(receipts: Iterable[Mapping[str, Any]]) -> tuple[Run, ...]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for each in receipts:
        found.setdefault(str(each["run"]), []).append(each)
    return tuple(
        Run(
            run=run,
            rounds=len({each["round"] for each in rounds}),
            first=_moment(min(each["time"] for each in rounds)),
            last=_moment(max(each["time"] for each in rounds)),
        )
        for run, rounds in found.items()
    )


def _files(path: Path) -> list[Path]:
    """The receipts' files at a place."""
    return sorted(path.glob("*.jsonl")) if path.is_dir() else [path] * path.is_file()


def _moment(seconds: float) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
