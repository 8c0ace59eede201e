"""Scenario files, by name or by path, with every mistake named at once."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from isthmus.errors import ScenarioError
from isthmus_simulations.scenarios.scenario import Scenario

_SOURCE_DEPTH: Final = 2  # where pydantic puts the source's name: platforms, 0, files, max_users


def builtin_scenarios() -> list[str]:
    """The names of the scenarios that ship with the package, sorted."""
    names = (entry.name for entry in _builtin_folder().iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """The scenario of that built-in name, or in that TOML file.

    Raises:
        ScenarioError: no such name or file; not TOML; or wrong keys or values, all at once.
    """
    if str(name_or_path) in builtin_scenarios():
        entry = _builtin_folder() / f"{name_or_path}.toml"
        return _parse(entry.read_text(encoding="utf-8"), entry.name, Path())
    path = Path(name_or_path)
    try:
        return _parse(path.read_text(encoding="utf-8-sig"), str(path), path.parent)
    except OSError as error:
        raise ScenarioError(
            f"there is no scenario {str(name_or_path)!r}: {error.strerror}",
            hint=f"give a TOML file, or one of {', '.join(builtin_scenarios())}",
        ) from error
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path} is not UTF-8 text: {error}") from error


def _builtin_folder() -> Traversable:
    return resources.files("isthmus_simulations.scenarios") / "builtin"


def _parse(text: str, file: str, folder: Path) -> Scenario:
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{file} is not TOML: {error}") from error
    except RecursionError:
        raise ScenarioError(f"{file} is no scenario: nested too deeply") from None
    except ValueError:  # the parser leaves numbers to Python, which has a limit of its own
        raise ScenarioError(f"{file} holds a number of too many digits") from None
    # Through JSON: its strict mode takes lists for tuples and text for paths, and nothing else.
    document = json.dumps(raw, default=lambda date: date.isoformat())
    try:
        return Scenario.model_validate_json(document, context={"folder": folder})
    except ValidationError as error:
        lines = [f"  {_place(e['loc'])}: {_message(e)}" for e in _own(error.errors())]
        count = "a mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        raise ScenarioError(
            "\n".join([f"{file} has {count}:", *lines]),
            hint="the keys of a scenario file are described in docs/scenarios.md",
        ) from error


def _own(details: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Without what follows from the rest: a list of platforms is short when each was refused."""
    inside = any(e["loc"][:1] == ("platforms",) and len(e["loc"]) > 1 for e in details)
    return [e for e in details if not (inside and e["loc"] == ("platforms",))]


def _place(location: tuple[int | str, ...]) -> str:
    """A key as a person finds it: platforms[2].max_users, counted from 1."""
    text = ""
    for depth, part in enumerate(location):
        if isinstance(part, int):
            text += f"[{part + 1}]"
        elif not (depth == _SOURCE_DEPTH and location[0] == "platforms"):
            text += f".{part}"
    return text.removeprefix(".") or "file"


def _message(error: ErrorDetails) -> str:
    """What is wrong, and the value where it is short enough to help."""
    text = str(error["msg"]).removeprefix("Value error, ")
    value = error["input"]
    if error["type"] == "value_error" or isinstance(value, dict | list):
        return text
    return f"{text} (given: {value!r})"
