"""What pydantic found in a `platform.toml`, told to a person: each mistake with its line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from isthmus_client.contract.lines import Keys, line_of
from isthmus_client.contract.model import Contract
from isthmus_client.contract.nearest import meant
from isthmus_client.contract.rules import SEVERAL

_SILENT: Final = frozenset({"source", "query", "credentials"})  # may hold what nobody should see


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        keys: where, from the top of the file.
        what: is wrong, for a person.
    """

    keys: Keys
    what: str

    def shown(self, lines: Mapping[Keys, int]) -> tuple[int, str]:
        """Its line, 0 for the whole file, and all that there is to say."""
        line = line_of(lines, self.keys) or 0
        place = f"line {line}: " if line else ""
        return line, f"{place}{'.'.join(map(_as_written, self.keys))}: {self.what}"


def mistakes(details: Sequence[ErrorDetails]) -> Iterator[Mistake]:
    """All of them.

    Guarantees:
        No value of a key that may hold a password is repeated, nor that of an unknown key.
    """
    for detail in details:
        keys = tuple(str(part) for part in detail["loc"] if isinstance(part, str))
        if detail["type"] == SEVERAL:
            for key, what in detail["ctx"]["wrong"].items():
                yield Mistake((*keys, key), what)
        else:
            yield Mistake(keys, _what(detail, keys))


def unknown(keys: Keys) -> Mistake:
    """A key that is none of ours, with what was probably meant."""
    *table, key = keys
    fields = _fields(table)
    where = f"[{'.'.join(table)}]" if table else "the file"
    elsewhere = [name for name in _fields([]) if table != [name] and key in _fields([name])]
    near = f"; it belongs in [{elsewhere[0]}]" if elsewhere else meant(key, fields)
    return Mistake(keys, f"is no key of {where}{near}")


def _as_written(key: str) -> str:
    """A key as TOML has it: in quotes where it is no plain word."""
    return key if re.fullmatch(r"[\w-]+", key, re.ASCII) else json.dumps(key, ensure_ascii=False)


def _what(detail: ErrorDetails, keys: Keys) -> str:
    """One mistake in words."""
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return unknown(keys).what
    if kind == "missing":
        return "is missing"
    if kind == "model_type":
        return f"must be a table, [{keys[-1]}]"
    text = str(detail["msg"]).removeprefix("Value error, ")
    if kind == "value_error" or isinstance(value, dict | list) or _SILENT & set(keys):
        return text
    near = meant(value, _words(keys)) if isinstance(value, str) else ""
    return f"{text} (given: {value!r}){near}"


def _fields(table: Sequence[str]) -> dict[str, Any]:
    """{key: type} of a table of the file; none where there is no such table."""
    model: type[BaseModel] = Contract
    for name in table:
        field = model.model_fields.get(name)
        inner = () if field is None else (field.annotation, *get_args(field.annotation))
        models = [each for each in inner if _is_model(each)]
        if not models:
            return {}
        model = models[0]
    return {name: f.annotation for name, f in model.model_fields.items() if not f.exclude}


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _words(keys: Keys) -> list[str]:
    """The words that a key allows, where it allows certain words alone."""
    found = [_fields(keys[:-1]).get(keys[-1])]
    for annotation in found:
        found.extend(get_args(annotation))
    return [each for each in found if isinstance(each, str)]
