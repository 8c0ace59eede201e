"""A `platform.toml`, read with every mistake told at once, each with its line."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from isthmus.errors import ContractError, DataMissingError
from isthmus_client.contract.lines import key_lines
from isthmus_client.contract.mistakes import Mistake, mistakes, unknown
from isthmus_client.contract.model import Contract

_AT: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_HINT: Final = "docs/platform-contract.md describes every key"


def load_contract(path: Path) -> Contract:
    """The contract in a file; relative paths in it are seen from its folder.

    Raises:
        DataMissingError: there is no such file.
        ContractError: it is no TOML, or keys or values are wrong: every mistake with its line.
    """
    text = _text(path)
    value = _parsed(path, text)
    # Through JSON: its strict mode takes lists for tuples and text for paths, and nothing else.
    document = json.dumps(
        {key: part for key, part in value.items() if key != "folder"},
        default=lambda date: {"date": str(date)},
    )
    found = [unknown(("folder",))] if "folder" in value else []
    try:
        contract = Contract.model_validate_json(document, context={"folder": path.parent})
    except ValidationError as error:
        found += mistakes(error.errors(include_url=False))
    if found:
        raise _refused(path, found, text)
    return contract.model_copy(update={"folder": path.parent})


def _text(path: Path) -> str:
    """The file's text; the mark that some editors put before it is left out."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ContractError(f"{path} is not UTF-8 text: line {line}", hint=_HINT) from None
    except FileNotFoundError:
        raise DataMissingError(
            f"there is no {path}",
            hint="name it with --platform, or make one: isthmus client init",
        ) from None
    except OSError as error:
        raise DataMissingError(f"{path} cannot be read: {error.strerror}") from error


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        at = _AT.search(message)
        what = message[: at.start()] if at else message
        last = len(text.splitlines())
        where = f"line {at[1]}, column {at[2]}" if at and at[1] else f"line {last}, its end"
        raise ContractError(f"{path} is no TOML:\n  {where}: {what}", hint=_HINT) from None
    except RecursionError:
        raise ContractError(f"{path} is no contract: nested too deeply", hint=_HINT) from None
    except ValueError:  # the parser leaves numbers to Python, which has a limit of its own
        raise ContractError(f"{path} holds a number of too many digits", hint=_HINT) from None


def _refused(path: Path, found: Iterable[Mistake], text: str) -> ContractError:
    lines = key_lines(text)
    shown = [f"  {words}" for _, words in sorted(each.shown(lines) for each in found)]
    count = "a mistake" if len(shown) == 1 else f"{len(shown)} mistakes"
    return ContractError("\n".join([f"{path} has {count}:", *shown]), hint=_HINT)
