"""Every field of `transfer.json` and `price.json` is documented, and no other."""

import re

import pytest
from markdown_pages import ROOT
from pydantic import BaseModel

from isthmus_simulations.price import results as price
from isthmus_simulations.price.cells import WAYS, Attack
from isthmus_simulations.transfer import results
from isthmus_simulations.transfer.models import MODELS

PAGE = (ROOT / "docs" / "transfer-benchmark.md").read_text()
PRICE_PAGE = (ROOT / "docs" / "price-of-privacy.md").read_text()


def models_of(module):
    return [
        model
        for model in vars(module).values()
        if isinstance(model, type)
        and issubclass(model, BaseModel)
        and model.__module__ == module.__name__
    ]


OURS = [(PAGE, model) for model in models_of(results)]
OURS += [(PRICE_PAGE, model) for model in (*models_of(price), Attack)]


@pytest.mark.parametrize(("page", "model"), OURS, ids=[model.__name__ for _, model in OURS])
def test_every_field_is_documented_and_no_other(page, model):
    section = page.partition(f"\n### {model.__name__}\n")[2].partition("\n##")[0]
    documented = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    fields = model.model_fields.items()
    assert documented == [field.serialization_alias or key for key, field in fields]


def test_every_way_of_training_is_documented():
    table = PRICE_PAGE.partition("| way | what is trained |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == WAYS


def test_every_model_is_documented_under_its_role():
    table = PAGE.partition("| role | models | meaning |")[2].partition("\n\n")[0]
    documented = {
        model: role
        for role, models in re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)
        for model in re.findall(r"`(\w+)`", models)
    }
    assert documented == {name: entry.role for name, entry in MODELS.items()}
