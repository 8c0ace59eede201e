"""The ledger's rows, and the chain that holds them together.

A row is one line of JSON with sorted keys. It names its number and the hash of the row before it;
its own hash is the SHA-256 of the line. Changing, dropping, adding or reordering rows breaks the
chain at the first row that differs; rows missing at the end show only to someone who knows a later
hash: that is why receipts and the server keep the newest.
"""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from isthmus.errors import LedgerError
from isthmus.files import digest
from isthmus.privacy.events import Event
from isthmus_client.ledger.values import MOST_LETTERS, Key

FORMAT: Final = 1
Name = Annotated[str, Field(min_length=1, max_length=MOST_LETTERS)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Mechanism(_Value):
    """An `Event`, as it is written."""

    noise_multiplier: Positive
    sampling_rate: Annotated[float, Field(gt=0, le=1)]
    count: Annotated[int, Field(ge=1)]

    @classmethod
    def of(cls, event: Event) -> Mechanism:
        """From the event."""
        noise, rate = float(event.noise_multiplier), float(event.sampling_rate)
        return cls(noise_multiplier=noise, sampling_rate=rate, count=int(event.count))

    def event(self) -> Event:
        """The event."""
        return Event(self.noise_multiplier, self.sampling_rate, self.count)


class _Row(_Value):
    number: Annotated[int, Field(ge=1)]
    previous: Hash
    time: float  # Unix seconds, for the reader only: nothing depends on it


class _About(_Row):
    data: Name
    unit: Name
    run: Name

    @property
    def key(self) -> Key:
        """Whose privacy it is about."""
        return Key(self.data, self.unit)


class Opened(_Row):
    """The first row: the format, and what may be spent on each key."""

    kind: Literal["opened"] = "opened"
    format: Literal[1] = FORMAT
    epsilon: Positive
    delta: Positive


class Changed(_Row):
    """Another budget, and why."""

    kind: Literal["budget"] = "budget"
    epsilon: Positive
    delta: Positive
    reason: Annotated[str, Field(min_length=1)]


class Registered(_About):
    """Rounds of one kind that a run may charge, fixed before the first of them; these more."""

    kind: Literal["schedule"] = "schedule"
    mechanism: Mechanism
    rounds: Annotated[int, Field(ge=1)]


class Finished(_About):
    """A run that will charge no more of its schedules."""

    kind: Literal["finish"] = "finish"


class Reserved(_About):
    """A round's charge, written before anything of it is computed."""

    kind: Literal["reserve"] = "reserve"
    round: Annotated[int, Field(ge=0)]
    base: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
    mechanism: Mechanism
    scheduled: bool


class Committed(_Row):
    """What a reserved round gave out, written before it left."""

    kind: Literal["commit"] = "commit"
    reservation: Annotated[int, Field(ge=1)]  # number of the row that charged it
    fingerprint: Hash


class Resent(_Row):
    """The very bytes of a committed round, about to leave again; no charge."""

    kind: Literal["resend"] = "resend"
    commit: Annotated[int, Field(ge=1)]  # number of the row that committed them


Row = Opened | Changed | Registered | Finished | Reserved | Committed | Resent
_ROWS: Final[TypeAdapter[Row]] = TypeAdapter(Annotated[Row, Field(discriminator="kind")])


def sealed(row: Row) -> tuple[str, str]:
    """The row's line and its hash."""
    body = json.dumps(row.model_dump(mode="json"), sort_keys=True, allow_nan=False)
    return body, digest(body.encode())


def unsealed(number: int, body: str, stored: str, *, previous: str) -> Row:
    """A stored row, after its place in the chain was checked.

    Args:
        number: which row it must be.
        body: its line.
        stored: the hash stored beside it.
        previous: hash of the row before it.

    Raises:
        LedgerError: it is not what was written there.
    """
    if digest(body.encode()) != stored:
        raise altered(number, "its hash is not that of its line")
    try:
        row = _ROWS.validate_json(body)
    except ValidationError as error:
        raise altered(number, "it is no row of a ledger") from error
    if row.number != number or row.previous != previous:
        raise altered(number, "it does not follow the row before it")
    if (number == 1) != isinstance(row, Opened):
        raise altered(number, "a ledger opens with its first row, and once")
    return row


def altered(number: int, why: str) -> LedgerError:
    """The refusal of a whole ledger for its first wrong row."""
    return LedgerError(
        f"row {number} of the ledger was altered: {why}",
        hint="nothing may be spent by it: find out who changed the file, and put the newest "
        "untouched copy back",
    )
