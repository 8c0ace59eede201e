"""Columns that a feed lacks: needed, mapped, renamed."""

import pytest

from isthmus_client.contract.model import Contract
from isthmus_client.rows import COLUMNS, require_columns


def contract(events=None, items=None, **parts):
    tables = {
        "events": {"source": "e", **(events or {})},
        "items": {"source": "i", **(items or {})},
    }
    return Contract.model_validate({**tables, **parts})


def lacking(agreed, table, has):
    return [fault.column for fault in require_columns(agreed, table, has)]


def test_every_table_of_the_contract_has_its_columns():
    parts = set(Contract.model_fields) - {"platform", "history", "limits", "folder"}
    assert set(COLUMNS) == parts
    for name, columns in COLUMNS.items():
        assert len(set(columns.all)) == len(columns.all), name


def test_nothing_is_missing_where_all_needed_columns_are_there():
    assert not require_columns(contract(), "events", ["item_id", "user_id", "timestamp", "more"])
    assert not require_columns(contract(), "items", ["item_id", "text"])


def test_needed_columns_and_either_of_two():
    assert lacking(contract(), "events", ["item_id"]) == ["user_id", "timestamp"]
    assert lacking(contract(), "items", ["colour"]) == ["item_id", "title or text"]


def test_events_without_times_need_no_timestamp():
    assert not require_columns(contract({"timed": False}), "events", ["user_id", "item_id"])


def test_a_mapped_column_must_be_there_even_if_it_is_optional():
    agreed = contract({"columns": {"price": "paid", "user_id": "who"}})
    has = ["who", "item_id", "timestamp"]
    assert lacking(agreed, "events", has) == ["price"]
    assert lacking(
        contract(items={"columns": {"title": "name"}}), "items", ["item_id", "text"]
    ) == ["title"]


@pytest.mark.parametrize(
    ("has", "meant"),
    [
        (["UserID", "item_id", "timestamp"], "UserID"),
        (["user", "item_id", "timestamp"], "user"),
        (["x", "item_id", "timestamp"], ""),
    ],
)
def test_the_most_similar_name_is_suggested(has, meant):
    (fault,) = require_columns(contract(), "events", has)
    assert (fault.column, fault.theirs, fault.suggestion) == ("user_id", "user_id", meant)
    assert f'user_id = "{meant or "yours"}"' in fault.advice
    assert "x, item_id" in fault.line() or f"{meant} looks like it" in fault.line()


def test_optional_tables_have_needed_columns_too():
    agreed = contract(social_edges={"source": "s", "columns": {"other_id": "friend"}})
    assert lacking(agreed, "social_edges", ["user_id", "pal"]) == ["other_id"]


def test_no_name_is_told_of_a_feed_that_may_have_no_header():
    faults = require_columns(contract(), "events", ("u17", "a4", "2025-01-01", "viewed"))
    assert {fault.suggestion for fault in faults} == {""}
    assert not any("u17" in fault.line() for fault in faults)
    assert all("is there a header?" in fault.advice for fault in faults)
