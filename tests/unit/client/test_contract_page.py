"""The page of the contract names every key, default and column, and no other."""

import re
from pathlib import Path

import pytest

from isthmus.behaviours import BEHAVIOURS
from isthmus_client.contract import Contract, EventsTable, Table
from isthmus_client.contract.model import HistoryPart, LimitsPart, PlatformPart
from isthmus_client.rows.columns import COLUMNS

PAGE = (Path(__file__).parents[3] / "docs" / "platform-contract.md").read_text()
SECTIONS = {
    "`[platform]`": PlatformPart,
    "`[history]`": HistoryPart,
    "`[limits]`": LimitsPart,
    "Every table": Table,
    "`[events]`": EventsTable,
}


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_is_documented_and_no_other(heading):
    model = SECTIONS[heading]
    fields = set(model.model_fields)
    if model is EventsTable:
        fields -= set(Table.model_fields)
    section = PAGE.partition(f"\n### {heading}\n")[2].partition("\n##")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE)
    assert [name for name, _ in rows] == [name for name in model.model_fields if name in fields]
    for name, shown in rows:
        field = model.model_fields[name]
        assert shown == written(field.get_default(call_default_factory=True), field.is_required())


def written(default, required):
    """A default as the page has it."""
    if required or default is None:
        return "required" if required else "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, int | float):
        return f"{default:g}"
    if isinstance(default, tuple):
        return "`[" + ", ".join(f'"{each}"' for each in default) + "]`"
    return f'`"{default}"`' if isinstance(default, str) else f"`{default}`"


def tables():
    """{name: model} of a contract's tables."""
    table = {name: field.annotation for name, field in Contract.model_fields.items()}
    for name, annotation in table.items():
        for each in (annotation, *getattr(annotation, "__args__", ())):
            if isinstance(each, type) and issubclass(each, Table):
                yield name, each


def test_every_column_is_documented_and_no_other():
    section = PAGE.partition("\n## Columns\n")[2]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", words)) - {"timed"} for name, words in rows}
    assert documented == {name: set(model.ours) for name, model in tables()}


def test_the_contract_and_the_rows_have_the_same_columns():
    assert {name: set(columns.all) for name, columns in COLUMNS.items()} == {
        name: set(model.ours) for name, model in tables()
    }
    assert {name: columns.needed for name, columns in COLUMNS.items()} == {
        name: model.needed for name, model in tables()
    }


def test_every_table_and_behaviour_is_named():
    for name, _ in tables():
        assert f"`[{name}]`" in PAGE
    for behaviour in BEHAVIOURS:
        assert f"`{behaviour}`" in PAGE
