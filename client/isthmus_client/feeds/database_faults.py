"""What a database's complaint means, in our words: a driver's own may hold an address or a row.

Guarantees:
    - Of a driver's text only the server's line on an unknown name or on syntax is repeated; it is
      written before any row is read, and no password is part of a query.
"""

from __future__ import annotations

import re
from typing import Final

from isthmus.errors import DataInvalidError, DataMissingError, IsthmusError

_REACHING: Final = (  # (what the driver says in lower case, what it means, what to do next)
    (
        ("password", "access denied", "no pg_hba.conf entry", "role"),
        "the server refuses this user or password",
        "give it in the file that `credentials` names (mode 0600) or in ISTHMUS_SOURCE_PASSWORD",
    ),
    (
        ("refused",),
        "nothing listens at this host and port",
        "check host and port of the source, and that the server runs",
    ),
    (
        ("translate host", "name or service", "temporary failure in name"),
        "there is no host of this name",
        "check the host of the source",
    ),
    (
        ("time out", "timed out", "timeout"),
        "no answer in time",
        "check host and port of the source, and what lies between",
    ),
    (
        ("ssl", "tls", "certificate"),
        "no encrypted connection came about",
        "check the parameters of the source's URL and the server's certificate",
    ),
    (
        ("does not exist", "unknown database"),
        "there is no database of this name",
        "check the database in the source's URL",
    ),
)
_MEANINGS: Final = {  # code of PostgreSQL or MySQL: (what it means, what to do next)
    "42P01": ("there is no such table", "check the name, with its schema: shop.events"),
    "1146": ("there is no such table", "check the name, with its database: shop.events"),
    "42703": ("there is no such column", "check the names in the query"),
    "1054": ("there is no such column", "check the names in the query"),
    "1060": ("two columns have the same name", "give each a name of its own with AS"),
    "42601": ("the query is not well formed", "try it in the database's own shell"),
    "1064": ("the query is not well formed", "try it in the database's own shell"),
    "42501": ("this user may not read it", "GRANT SELECT on it to the user"),
    "1142": ("this user may not read it", "GRANT SELECT on it to the user"),
    "1143": ("this user may not read all its columns", "GRANT SELECT on it to the user"),
    "1227": ("this user may not run the query", "a source only ever reads tables"),
    "25006": ("it tried to write; sources are only read", "make the query a plain SELECT"),
    "1792": ("it tried to write; sources are only read", "make the query a plain SELECT"),
    "0A000": ("the query does what a source may not", "make it a plain SELECT"),
    "57014": ("the server ended it: it took too long", "raise the user's statement_timeout"),
    "1969": ("the server ended it: it took too long", "raise max_statement_time"),
    "3024": ("the server ended it: it took too long", "raise max_execution_time"),
    "1317": ("the server ended it", "try again, or read a copy"),
    "55P03": ("somebody else holds a lock on it", "try again later, or read a copy"),
    "1205": ("somebody else holds a lock on it", "try again later, or read a copy"),
}
_QUOTABLE: Final = ("42P01", "42703", "42601", "1146", "1054", "1060", "1064")
_MID_STREAM: Final = (  # what PostgreSQL says while rows are on their way, when no code is given
    ("read-only transaction", "25006"),
    ("statement timeout", "57014"),
    ("lock timeout", "55P03"),
    ("terminating connection", "57P01"),
    ("closed the connection", "08006"),
    ("permission denied", "42501"),
)
_STATE: Final = re.compile(r"SQLSTATE: (\w{5})")
_SAID: Final = re.compile(r"ERROR:\s+([^\n]*)")


def unreachable(place: str, driver_text: str) -> DataMissingError:
    """Why there is no connection.

    Args:
        place: the database without user and password.
        driver_text: what the driver says; looked at, never repeated.
    """
    lower = driver_text.lower()
    for needles, meaning, hint in _REACHING:
        if any(needle in lower for needle in needles):
            return DataMissingError(f"{place} cannot be reached: {meaning}", hint=hint)
    return DataMissingError(
        f"{place} cannot be reached", hint="try the same URL in the database's own shell"
    )


def failed(place: str, code: str, said: str = "") -> IsthmusError:
    """Why a table or query cannot be read.

    Args:
        place: the database and the table or query.
        code: the server's, a SQLSTATE or a number of MySQL; "" = the driver gives none.
        said: the server's own line; repeated only where it cannot hold a row.
    """
    if code.startswith(("08", "57P")) or code in {"2006", "2013"}:
        return DataMissingError(
            f"the connection to {place} was lost", hint="nothing was stored; read it again"
        )
    meaning, hint = _MEANINGS.get(
        code,
        ("the server could not go on", "try it in the database's own shell, where it may say why"),
    )
    shown = f" ({said})" if said and code in _QUOTABLE else ""
    told = f" [{code}]" if code else ""
    return DataInvalidError(f"{place} cannot be read: {meaning}{shown}{told}", hint=hint)


def postgres_failed(place: str, error: Exception) -> IsthmusError:
    """`failed`, with the code and line out of what PostgreSQL's drivers say."""
    text = str(error)
    state, said = _STATE.search(text), _SAID.search(text)
    guessed = next((code for needle, code in _MID_STREAM if needle in text), "")
    return failed(place, state[1] if state else guessed, said[1].strip() if said else "")


def alone(error: IsthmusError) -> IsthmusError:
    """The same error without the driver's, which may hold a row, in its chain."""
    return type(error)(str(error), hint=error.hint)
