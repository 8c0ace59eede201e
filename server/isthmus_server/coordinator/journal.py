"""What a committed round leaves behind besides its checkpoint: a row, a line of the log, events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter

from isthmus.audit_log import AuditLog, whole_lines
from isthmus.federation_contract import FederationContract
from isthmus_server.history import RoundRecord
from isthmus_server.state import State

_RECORD: Final[TypeAdapter[RoundRecord]] = TypeAdapter(RoundRecord)


@dataclass(frozen=True)
class Journal:
    """The records of one run.

    Attributes:
        state: the server's.
        log: the server's audit log.
        contract: of the run.
    """

    state: State
    log: AuditLog
    contract: FederationContract

    def round(self, record: RoundRecord, attempt: int) -> bool:
        """Write down a round whose checkpoint is on disk; the same once more changes nothing.

        Returns:
            Whether it was new.

        Raises:
            StateError: another round of this number is written down.
            AuditError, OSError: the log cannot be written; nothing was.
        """
        if self.reached() >= record.round:
            return self._row(record, attempt)
        self._line(record, attempt)
        new = self._row(record, attempt)
        self._events(record)
        return new

    def rounds(self, records: Iterable[RoundRecord], attempt: int) -> None:
        """Write down what a coordinator that died did not; it may have died after the log's line.

        Raises:
            StateError, AuditError, OSError: as of `round`.
        """
        late = [record for record in records if record.round > self.reached()]
        logged = self._logged() if late else {}
        for record in late:
            if logged.get(record.round) != record.fingerprint:
                self._line(record, attempt)
            self._row(record, attempt)
            self._events(record)

    def reached(self) -> int:
        """The last round that is written down; 0 = none."""
        row = self.state.runs.get(self.contract.run)
        return row.round if row else 0

    def note(self, kind: str, **words: Any) -> None:
        """A line of the log about the run.

        Raises:
            AuditError, OSError: the log cannot be written.
        """
        self.log.append({"kind": kind, "run": self.contract.run, **words})

    def _logged(self) -> dict[int, str]:
        """Fingerprints of the rounds in the log, by number, that no rollback took back."""
        found: dict[int, str] = {}
        for line in whole_lines(self.log.path):
            if line.get("run") != self.contract.run:
                continue
            if line.get("kind") == "round":
                found[line["round"]] = line["parameters"]
            elif line.get("kind") == "run rolled back":
                found = {number: mark for number, mark in found.items() if number <= line["round"]}
        return found

    def _line(self, record: RoundRecord, attempt: int) -> None:
        self.log.append(
            {
                "kind": "round",
                "run": self.contract.run,
                "contract": self.contract.sha256,
                "round": record.round,
                "attempt": attempt,
                "parameters": record.fingerprint,
                "cohort": sorted(record.platforms),
                "refused": {each.platform: each.reason for each in record.refused},
                "silent": list(record.missing),
            }
        )

    def _row(self, record: RoundRecord, attempt: int) -> bool:
        return self.state.rounds.commit(
            self.contract.run,
            record.round,
            attempt,
            record=_RECORD.dump_python(record, mode="json"),
            fingerprint=record.fingerprint,
            seconds=record.seconds,
        )

    def _events(self, record: RoundRecord) -> None:
        run, where = self.contract.run, f"round {record.round}"
        for each in record.refused:
            text = f"{where}: the reply was refused: {each.reason}"
            self.state.events.add("warning", "reply-refused", text, platform=each.platform, run=run)
        for name in record.missing:
            text = f"{where}: silent up to the deadline"
            self.state.events.add("warning", "silent", text, platform=name, run=run)
