"""Which columns each table of a contract has, and what is missing of them in a feed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from isthmus_client.contract.model import (
    Contract,
    EdgesTable,
    EventsTable,
    ImagesTable,
    ImpressionsTable,
    ItemsTable,
    RedemptionsTable,
    Table,
    TextsTable,
)


@dataclass(frozen=True)
class Columns:
    """Our columns of one table.

    Attributes:
        needed: each must be there.
        one_of: at least one of these must be; () = none is asked for.
        optional: used where there are.
    """

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every column that we know."""
        return (*self.needed, *self.one_of, *self.optional)

    @classmethod
    def of(cls, table: type[Table], one_of: tuple[str, ...] = ()) -> Columns:
        """What the contract's model says of a table."""
        named = {*table.needed, *one_of}
        return cls(table.needed, tuple(name for name in table.ours if name not in named), one_of)


COLUMNS: Final[Mapping[str, Columns]] = {
    "events": Columns.of(EventsTable),
    "items": Columns.of(ItemsTable, one_of=("title", "text")),
    "service_texts": Columns.of(TextsTable),
    "impressions": Columns.of(ImpressionsTable),
    "redemptions": Columns.of(RedemptionsTable),
    "social_edges": Columns.of(EdgesTable),
    "images": Columns.of(ImagesTable),
}


@dataclass(frozen=True)
class ColumnFault:
    """A column that a feed should have and has not.

    Attributes:
        column: ours; "title or text" where either would do.
        theirs: the name that was looked for.
        suggestion: the feed's column with the most similar name; "" = none is alike.
        advice: what to do about it.
    """

    table: str
    column: str
    theirs: str
    suggestion: str
    advice: str

    def line(self) -> str:
        """The fault as one line."""
        meant = f"; {self.suggestion} looks like it" if self.suggestion else ""
        return f"there is no column {self.theirs}{meant}. {self.advice}"


def require_columns(contract: Contract, table_name: str, has: Collection[str]) -> list[ColumnFault]:
    """What one feed lacks: columns that are needed, and those that the contract maps.

    Args:
        contract: maps our names to theirs.
        table_name: a key of `COLUMNS`, a table that the contract has.
        has: the feed's columns.
    """
    table: Table = getattr(contract, table_name)
    ours = COLUMNS[table_name]
    faults = [
        _fault(table_name, name, table.theirs(name), has)
        for name in _asked(contract, table_name)
        if table.theirs(name) not in has
    ]
    unmapped = not any(name in table.columns for name in ours.one_of)
    if ours.one_of and unmapped and not any(name in has for name in ours.one_of):
        either = " or ".join(ours.one_of)
        faults.append(_fault(table_name, either, either, has, ours.one_of[0]))
    return faults


def available(table: Table, names: Collection[str], has: Collection[str]) -> dict[str, str]:
    """{our name: their name} of those columns that a feed has."""
    theirs = {name: table.theirs(name) for name in names}
    return {name: their for name, their in theirs.items() if their in has}


def _asked(contract: Contract, table_name: str) -> list[str]:
    """Our names of the columns that must be there, each once."""
    table: Table = getattr(contract, table_name)
    ours = COLUMNS[table_name]
    untimed = table_name == "events" and not contract.events.timed
    needed = [name for name in ours.needed if not (untimed and name == "timestamp")]
    return list(dict.fromkeys([*needed, *(name for name in table.columns if name in ours.all)]))


def _fault(
    table: str, column: str, theirs: str, has: Collection[str], example: str = ""
) -> ColumnFault:
    alike = difflib.get_close_matches(theirs.lower(), [name.lower() for name in has], n=1)
    found = [name for name in has if alike and name.lower() == alike[0]]
    listed = ", ".join(has)
    return ColumnFault(
        table=table,
        column=column,
        theirs=theirs,
        suggestion=found[0] if found else "",
        advice=f"It has {listed}; map yours under [{table}], e.g. "
        f'columns = {{ {example or column} = "{found[0] if found else "yours"}" }}.',
    )
