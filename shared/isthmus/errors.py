"""Every error that Isthmus raises on purpose, and the exit code that a command ends with.

IsthmusError
├── ScenarioError      10  a scenario file or option is wrong
├── DataMissingError   11  a file, folder or package that should hold data is not there
├── DataInvalidError   12  the data is there but breaks its contract
├── ContractError      13  a platform.toml is wrong; every mistake is told with its line
├── FeedRefusedError   14  a platform's data is not fit for use; nothing was stored or sent
├── StoreBusyError     16  another process is at work in the platform's store
├── KeysError          17  the platform's keys are missing, wrong, or open to others
├── StoreError         18  the platform's store is damaged or cannot be written
├── DiskFullError      19  a disk has no room left; nothing is half written
├── FederationError    20  a round could not be finished (too few platforms, all replies refused)
├── MessageRefusedError 21 a message breaks the protocol (names, shapes, finiteness, stale round)
├── ResumeError        22  a checkpoint does not belong to this run, or is damaged
├── AggregationError   23  secure aggregation refused a message or gave up a round; see its alarm
├── IdentityError      24  a key, certificate, invitation or fingerprint is not what it should be
├── StateError         25  the server's state cannot be opened, read, written or restored
├── ServiceError       26  a process could not be started or reached: a port, an address
├── OutboxError        30  something that may not leave a platform tried to
├── CertificateError   31  a no-harm certificate's figures did not come out again
├── BudgetError        32  a release would pass the privacy budget; nothing was computed
├── LedgerError        33  the privacy ledger was altered, rolled back, or cannot be read or written
├── PrivacyError       34  a step whose privacy bound would not hold was not taken
├── AuditError         35  a run's privacy claim is disproved, or an audit log was altered
├── NotApprovedError   36  the platform has not agreed to this run, or to what it asks for
├── BundleError        37  the server sent code, or other configuration than was installed
└── NotInstalledError  40  a command needs packages of an extra that is not installed

Code 1 is an error that we did not foresee (please report it), 2 a wrong command line, 130 an
interruption from the keyboard. `isthmus client check` ends with 15 where data is usable with
warnings: no error, but a script may want to stop.
"""

from __future__ import annotations

from typing import ClassVar


class IsthmusError(Exception):
    """An error with a message for a person: what, which value, where; and what to do next.

    Attributes:
        exit_code: what a command that dies of it returns to the shell.
        hint: what the reader can do next; empty when the message says it all.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class ScenarioError(IsthmusError):
    """A scenario file or a command's option holds a wrong value."""

    exit_code = 10


class DataMissingError(IsthmusError):
    """A file, folder or package that should hold data is not there."""

    exit_code = 11


class DataInvalidError(IsthmusError):
    """The data is there but breaks its contract."""

    exit_code = 12


class ContractError(IsthmusError):
    """A `platform.toml` is wrong."""

    exit_code = 13


class FeedRefusedError(IsthmusError):
    """A platform's data is not fit for use; nothing was stored or sent."""

    exit_code = 14


class StoreBusyError(IsthmusError):
    """Another process is at work in the platform's store."""

    exit_code = 16


class KeysError(IsthmusError):
    """The platform's keys are missing, wrong, or open to others."""

    exit_code = 17


class StoreError(IsthmusError):
    """The platform's store is damaged or cannot be written."""

    exit_code = 18


class DiskFullError(IsthmusError):
    """A disk has no room left, or its quota is used up; nothing is half written."""

    exit_code = 19


class FederationError(IsthmusError):
    """A round could not be finished."""

    exit_code = 20


class MessageRefusedError(IsthmusError):
    """A message breaks the protocol and was not used."""

    exit_code = 21


class ResumeError(IsthmusError):
    """A checkpoint is damaged or belongs to another run."""

    exit_code = 22


class AggregationError(IsthmusError):
    """Secure aggregation refused a message, or gave up a round of which nothing was learned.

    Attributes:
        alarm: why, as one of `isthmus.secagg.Alarm`: a stable word for logs, metrics and tests.
    """

    exit_code = 23

    def __init__(self, message: str, *, alarm: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.alarm = alarm


class IdentityError(IsthmusError):
    """A key, certificate, invitation or fingerprint is not what it should be."""

    exit_code = 24


class StateError(IsthmusError):
    """The server's state cannot be opened, read, written or restored."""

    exit_code = 25


class ServiceError(IsthmusError):
    """A process could not be started or reached."""

    exit_code = 26


class OutboxError(IsthmusError):
    """Something that may not leave a platform tried to leave it."""

    exit_code = 30


class CertificateError(IsthmusError):
    """A no-harm certificate's figures did not come out again."""

    exit_code = 31


class BudgetError(IsthmusError):
    """A release would pass the privacy budget; nothing was computed for it."""

    exit_code = 32


class LedgerError(IsthmusError):
    """The privacy ledger was altered or rolled back, or cannot be read or written."""

    exit_code = 33


class PrivacyError(IsthmusError):
    """A training step whose privacy bound would not hold; it was not taken."""

    exit_code = 34


class AuditError(IsthmusError):
    """A run's privacy claim is contradicted, or an audit log is not as it was written."""

    exit_code = 35


class NotApprovedError(IsthmusError):
    """The platform has not agreed to a run, or to what the run asks for."""

    exit_code = 36


class BundleError(IsthmusError):
    """The server sent code, or another configuration than the platform allows."""

    exit_code = 37


class NotInstalledError(IsthmusError):
    """A command needs packages that are not installed."""

    exit_code = 40


def meaning(code: int) -> str:
    """What an exit code says, in words; "" for one that is no error's of ours.

    A platform tells the server its errors' codes alone: this is what the operator reads.
    """
    for error in IsthmusError.__subclasses__():
        if error.exit_code == code:
            first = (error.__doc__ or "").partition("\n")[0].rstrip(".")
            return first[:1].lower() + first[1:]
    return ""
