"""A new contract is valid, says every key, and what it comments out is valid too."""

import re
import tomllib
from typing import get_args

import pytest
from pydantic import BaseModel

from isthmus_client.contract import Contract, load_contract
from isthmus_client.contract.template import contract_text

COMMENTED = re.compile(r"^# (?=\w+ = |\[\w+\])")


def load(folder, text):
    (folder / "platform.toml").write_text(text)
    return load_contract(folder / "platform.toml")


@pytest.mark.parametrize("example", [True, False])
def test_it_is_valid_as_it_is(tmp_path, example):
    contract = load(tmp_path, contract_text("shop-7", example=example))
    assert contract.platform.name == "shop-7"
    assert contract.events.source == "events.csv"
    assert bool(contract.events.columns) is example


def test_without_the_example_only_the_tables_differ_from_the_defaults(tmp_path):
    contract = load(tmp_path, contract_text("own", example=False))
    least = '[events]\nsource = "events.csv"\n[items]\nsource = "items.csv"\n'
    assert contract == load(tmp_path, least)


@pytest.mark.parametrize("example", [True, False])
def test_what_is_commented_out_is_valid_and_shows_the_defaults(tmp_path, example):
    text = contract_text("own", example=example)
    whole = "\n".join(COMMENTED.sub("", line) for line in text.splitlines())
    (tmp_path / "password.txt").write_text("x")
    (tmp_path / "password.txt").chmod(0o600)
    contract = load(tmp_path, whole)
    plain = load(tmp_path, text)
    assert contract.history == plain.history
    assert contract.limits == plain.limits
    assert contract.platform == plain.platform
    shown = {"columns", "behaviours", "labels", "credentials"}  # these show an example
    assert contract.events.model_dump(exclude=shown) == plain.events.model_dump(exclude=shown)
    assert contract.images is not None


def sections(model):
    """{table: model} of a contract."""
    for name, field in model.model_fields.items():
        for each in (field.annotation, *get_args(field.annotation)):
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield name, each


def test_every_key_is_in_it():
    text = contract_text("own", example=False)
    said = tomllib.loads("\n".join(COMMENTED.sub("", line) for line in text.splitlines()))
    assert set(said) == {name for name, _ in sections(Contract)}
    for name in ("platform", "history", "limits", "events"):
        assert set(said[name]) == set(dict(sections(Contract))[name].model_fields)


def test_every_column_is_in_it():
    text = " ".join(contract_text("own", example=False).replace("#", " ").split())
    for name, model in sections(Contract):
        for column in getattr(model, "ours", ()):
            assert re.search(rf"\b{column}\b", text), f"{name}: {column}"
