"""Every field of `transfer.json` is documented, and no other."""

import re

import pytest
from markdown_pages import ROOT
from pydantic import BaseModel

from isthmus_simulations.transfer import results
from isthmus_simulations.transfer.models import MODELS

PAGE = (ROOT / "docs" / "transfer-benchmark.md").read_text()
OURS = {
    name: model
    for name, model in vars(results).items()
    if isinstance(model, type)
    and issubclass(model, BaseModel)
    and model.__module__ == results.__name__
}


@pytest.mark.parametrize("name", OURS)
def test_every_field_is_documented_and_no_other(name):
    section = PAGE.partition(f"\n### {name}\n")[2].partition("\n##")[0]
    documented = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    fields = OURS[name].model_fields.items()
    assert documented == [field.serialization_alias or key for key, field in fields]


def test_every_model_is_documented_under_its_role():
    table = PAGE.partition("| role | models | meaning |")[2].partition("\n\n")[0]
    documented = {
        model: role
        for role, models in re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)
        for model in re.findall(r"`(\w+)`", models)
    }
    assert documented == {name: entry.role for name, entry in MODELS.items()}
