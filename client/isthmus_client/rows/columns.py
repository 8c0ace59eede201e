"""Which columns each table of a contract has, and what is missing of them in a feed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
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

    Guarantees:
        No name of the feed's is told where it may have no header (`is_header`).
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
    if not is_header(contract, table_name, has):
        return faults
    return [_told(fault, has, fault.column.partition(" ")[0]) for fault in faults]


def is_header(contract: Contract, table_name: str, has: Collection[str]) -> bool:
    """Whether one of a feed's columns has a name that we or the contract know.

    A file without a header has a row in its place: only where this holds may the names of its
    columns be told, or they could be somebody's id.
    """
    mapped = getattr(contract, table_name).columns.values()
    known = {name.lower() for name in (*COLUMNS[table_name].all, *mapped)}
    return any(name.strip().lower() in known for name in has)


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
    """A fault that tells no name of the feed's."""
    return ColumnFault(
        table,
        column,
        theirs,
        suggestion="",
        advice=f"None of its {len(has)} columns is one that we or platform.toml know: is there a "
        f'header? Map yours under [{table}], e.g. columns = {{ {example or column} = "yours" }}.',
    )


def _told(fault: ColumnFault, has: Collection[str], example: str) -> ColumnFault:
    """The fault with the names that the feed has, and the one that is most alike."""
    alike = difflib.get_close_matches(fault.theirs.lower(), [name.lower() for name in has], n=1)
    found = next((name for name in has if alike and name.lower() == alike[0]), "")
    return replace(
        fault,
        suggestion=found,
        advice=f"It has {', '.join(has)}; map yours under [{fault.table}], e.g. "
        f'columns = {{ {example} = "{found or "yours"}" }}.',
    )
