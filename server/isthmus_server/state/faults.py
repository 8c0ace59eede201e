"""What a database's complaint means, in our words: a driver's own may hold an address or a row.

Guarantees:
    Nothing that a driver says is repeated, nor is it in the chain of an error.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from isthmus.errors import StateError

_SPACE: Final = ("its disk is full", "make room; nothing that was committed is lost")
_READ_ONLY: Final = ("it is read-only", "let the user of this process write to it")
_DOWN: Final = ("it cannot be reached", "start it, and look at its host and port; then try again")
_REFUSED: Final = ("it refuses this user or password", "look at user and password in its URL")
_BUSY: Final = (
    "another process holds it",
    "try again; if that goes on, look for a process that hangs",
)
_DAMAGED: Final = ("it is damaged, or no database", "put a backup back: isthmus server restore")
_OLD: Final = (
    "it is not laid out as expected",
    "run the version of Isthmus that made it, or newer",
)
_NONE: Final = ("there is no such database", "make it: createdb DATABASE")

_MEANINGS: Final = (  # (what SQLite or libpq says in lower case, what that means and what to do)
    (("database or disk is full", "no space left"), _SPACE),
    (("readonly database", "read-only"), _READ_ONLY),
    (("database is locked", "table is locked"), _BUSY),
    (("not a database", "malformed", "file is encrypted"), _DAMAGED),
    (("no such table", "no such column"), _OLD),
    (("unable to open",), ("it cannot be opened", "look at its folder and who may write there")),
    (("disk i/o",), ("its disk fails", "look at the disk: full, unplugged, over its quota")),
    (("password", "no pg_hba.conf entry", "role"), _REFUSED),
    (("does not exist",), _NONE),
    (
        ("refused", "translate host", "resolve host", "name or service", "timeout", "timed out"),
        _DOWN,
    ),
    (("starting up", "shutting down", "connection", "terminat", "recovery mode"), _DOWN),
)
_CODES: Final = {  # PostgreSQL's SQLSTATE, or its class
    "25006": _READ_ONLY,
    "28": _REFUSED,
    "3D000": _NONE,
    "42501": ("this user may not do that", "GRANT it all on the database's schema"),
    "42P01": _OLD,
    "42703": _OLD,
    "53100": _SPACE,
    "53300": ("it has no connection left", "raise its max_connections"),
    "55P03": _BUSY,
    "40": _BUSY,
    "57014": _BUSY,
    "57P": _DOWN,
    "08": _DOWN,
}
_UNKNOWN: Final = ("it refused", "look at the log of the database")


def fault(place: str, error: SQLAlchemyError | OverflowError) -> StateError:
    """The error for a person; raise it `from None`, as drivers repeat values."""
    meaning, hint = _meaning(error)
    return StateError(f"the state in {place}: {meaning}", hint=hint)


def _meaning(error: SQLAlchemyError | OverflowError) -> tuple[str, str]:
    if not isinstance(error, DBAPIError):
        what = type(getattr(error, "orig", None) or error).__name__
        return f"a value cannot be stored ({what})", "this is a fault in Isthmus: report it"
    code = str(getattr(error.orig, "sqlstate", None) or "")
    for length in (5, 3, 2):
        if len(code) >= length and code[:length] in _CODES:
            return _CODES[code[:length]]
    said = str(error.orig).lower()
    for words, meaning in _MEANINGS:
        if any(word in said for word in words):
            return meaning
    return (f"{_UNKNOWN[0]} ({type(error.orig).__name__} {code})".replace(" )", ")"), _UNKNOWN[1])
