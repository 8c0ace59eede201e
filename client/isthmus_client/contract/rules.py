"""What a value of a `platform.toml` must be besides its type.

Each rule raises what pydantic collects. No message repeats a value that may hold a password.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
import zoneinfo
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import duckdb
from pydantic import ValidationInfo
from pydantic_core import PydanticCustomError

from isthmus.behaviours import BEHAVIOURS
from isthmus_client.contract.nearest import meant

SEVERAL: Final = "several"
"""The type of an error whose context `wrong` is {key: what is wrong with it}."""

UNITS: Final = ("auto", "s", "ms", "us", "ns")

_DATABASE: Final = re.compile(
    r"^(postgres(ql)?|mysql|mariadb|duckdb)(\+\w+)?://|\.duckdb$", re.IGNORECASE
)
# In a URL, also in one that was taken for a path, which has one slash less.
_PASSWORD: Final = re.compile(r"[a-z][a-z0-9+.-]*://?[^/@]*:[^@]*@", re.IGNORECASE)
_SECRET: Final = re.compile(  # in a URL's query, or as a driver has it: host=db password=...
    r"[?&;]([^=&]*(password|passwd|pwd|secret|token|signature|access_?key|api_?key)[^=&]*|sig)="
    r"|(^|\s)\w*(password|passwd|pwd)\s*=",
    re.IGNORECASE,
)
_SYSTEMS_OWN: Final = re.compile(r"localtime|posixrules|(posix|right)/.*")  # zones of no name
_NO_FILES: Final = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape"})
_ROUND_TRIP: Final = "SELECT try_strptime(strftime({0}, $p), $p)::DATE = ({0})::DATE"


def plain_name(name: str) -> str:
    """What may stand in paths and messages."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", name):
        raise ValueError(f"{name!r} should be up to 64 letters, digits, - and _, no - or _ first")
    return name


def currency_code(code: str) -> str:
    """Three capital letters, or nothing."""
    if not re.fullmatch(r"([A-Z]{3})?", code):
        raise ValueError(f"{code!r} is no ISO 4217 code, such as EUR")
    return code


def known_behaviour(word: str) -> str:
    """One of ours."""
    if word not in BEHAVIOURS:
        raise ValueError(_unknown_behaviour(word))
    return word


def _unknown_behaviour(word: str) -> str:
    return f"{word!r} is none of {', '.join(BEHAVIOURS)}{meant(word, BEHAVIOURS)}"


def known_time_zone(name: str) -> str:
    """A name that the system or the package `tzdata` knows, and DuckDB as well."""
    try:
        known = zoneinfo.ZoneInfo(name).key is not None and not _SYSTEMS_OWN.fullmatch(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = False
    if not known:
        near = meant(name, zoneinfo.available_timezones())
        raise ValueError(f"{name!r} is no IANA time zone, such as Europe/Berlin{near}")
    return name


def known_encoding(name: str) -> str:
    """A name that Python knows, of an encoding that files are written in."""
    try:
        known = codecs.lookup(name).name not in _NO_FILES and bool("a".encode(name))
    except (LookupError, ValueError):
        known = False
    if not known:
        raise ValueError(f"{name!r} is no encoding, such as utf-8, cp1252 or gb18030")
    return name


def readable_time_format(pattern: str) -> str:
    """A unit, or a pattern that reads back the day that it writes."""
    if pattern in UNITS:
        return pattern
    if "%" not in pattern:
        near = meant(pattern, UNITS)
        raise ValueError(
            f"{pattern!r} is none of {', '.join(UNITS)}, and no pattern such as "
            f"%d.%m.%Y %H:%M{near}"
        )
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        query = _ROUND_TRIP.format("TIMESTAMP '2004-02-29 21:30:00'")
        try:
            same = connection.execute(query, {"p": pattern}).fetchall()[0][0]
        except duckdb.Error:
            raise ValueError(f"{pattern!r} has a directive that strptime does not know") from None
    if not same and "%Z" not in pattern:  # a zone's name is never written, so it is not read back
        raise ValueError(f"{pattern!r} does not give year, month and day")
    return pattern


def is_database(source: str, table_format: str) -> bool:
    """Whether a source has tables to choose from."""
    return table_format in {"duckdb", "sql"} or _DATABASE.search(source) is not None


def without_password(source: str) -> str:
    """A source as it may stand in a file that people share."""
    if not source.strip():
        raise ValueError("is empty: give a path, a glob, a folder or a URL")
    if _PASSWORD.search(source) or _SECRET.search(source):
        raise ValueError(
            "holds a password: take it out, and give it in a file that `credentials` names (mode "
            "0600) or in the environment variable ISTHMUS_SOURCE_PASSWORD"
        )
    return source


def owned_file(path: Path, info: ValidationInfo) -> Path:
    """A file that nobody else can read; looked at only where a file's contract is loaded."""
    if not info.context:
        return path
    try:
        mode = (info.context["folder"] / path).stat().st_mode
    except OSError:
        raise ValueError("names a file that is not there") from None  # it may be the password
    if not stat.S_ISREG(mode):
        raise ValueError("names no file")
    if os.name == "posix" and mode & 0o077:
        shown = f"{stat.S_IMODE(mode):04o}"
        raise ValueError(f"names a file that is open to others (mode {shown}): chmod 600 it")
    return path


def mapped_columns(
    columns: Mapping[str, str], ours: Iterable[str], needed: Iterable[str]
) -> dict[str, str]:
    """{our column: what is wrong with its mapping}."""
    wrong = {
        name: f"is none of our columns {', '.join(ours)}{meant(name, ours)}"
        for name in columns
        if name not in ours
    }
    wrong |= {name: "names no column" for name, their in columns.items() if not their.strip()}
    taken: dict[str, str] = {}
    for name in dict.fromkeys((*columns, *needed)):
        their = columns.get(name, name)
        if their in taken:
            place = name if name in columns else taken[their]
            other = taken[their] if name in columns else name
            wrong.setdefault(place, f"names {their!r}, which is {other} already")
        taken.setdefault(their, name)
    return wrong


def mapped_words(words: Mapping[str, str]) -> dict[str, str]:
    """{their word: what is wrong with it}: no behaviour of ours, or not told from another word."""
    wrong = {}
    first: dict[str, str] = {}
    for word, ours in words.items():
        other = first.setdefault(word.strip().casefold(), word)
        if ours not in BEHAVIOURS:
            wrong[word] = _unknown_behaviour(ours)
        elif not word.strip():
            wrong[word] = "is no word: rows whose behaviour is empty are rejected"
        elif word != word.strip():
            wrong[word] = "has spaces about it, without which words are compared"
        elif words[other] != ours:
            wrong[word] = f"means {ours}, but {other!r} means {words[other]}"
    return wrong


def refuse(wrong: Mapping[str, str]) -> None:
    """Tell of several keys at once."""
    if wrong:
        text = "; ".join(f"{key}: {what}" for key, what in wrong.items())
        raise PydanticCustomError(SEVERAL, "{text}", {"text": text, "wrong": dict(wrong)})
