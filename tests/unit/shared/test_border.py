"""Where a model is split at the privacy border; tests/properties draws any module tree."""

import numpy as np
import pytest
import torch
from torch import nn

from isthmus.border import merge, split
from isthmus.encoder import PrivateModule, SharedModule
from isthmus.errors import MessageRefusedError, OutboxError
from isthmus.parameters import Private, Shared


def part(kind, *shape, value=0.0):
    made = kind()
    made.weight = nn.Parameter(torch.full(shape, value))
    return made


def model(**parts):
    made = nn.Module()
    for name, child in parts.items():
        made.add_module(name, child)
    return made


def pair():
    return model(
        encoder=part(SharedModule, 2, 3, value=1.5), head=part(PrivateModule, 4, value=7.25)
    )


def test_each_side_gets_its_own():
    shared, private = split(pair())
    assert type(shared) is Shared
    assert type(private) is Private
    assert shared.shapes() == {"encoder.weight": (2, 3)}
    assert private.shapes() == {"head.weight": (4,)}
    assert set(private.tensors["head.weight"].tolist()) == {7.25}


def test_values_are_copies():
    made = pair()
    shared, private = split(made)
    with torch.no_grad():
        made.encoder.weight.fill_(9.0)
        made.head.weight.fill_(9.0)
    assert (shared.tensors["encoder.weight"] == 1.5).all()
    assert (private.tensors["head.weight"] == 7.25).all()


@pytest.mark.parametrize(
    ("broken", "sides"),
    [
        (lambda: model(encoder=part(SharedModule, 2), stray=part(nn.Module, 2)), "no"),
        (lambda: part(nn.Module, 2), "no"),
        (lambda: nn.Linear(2, 2), "no"),
    ],
)
def test_a_parameter_on_no_side_is_refused(broken, sides):
    with pytest.raises(OutboxError, match=f"is under {sides} module"):
        split(broken())


@pytest.mark.parametrize("kinds", [(SharedModule, PrivateModule), (PrivateModule, SharedModule)])
def test_a_parameter_on_both_sides_is_refused(kinds):
    outer, inner = kinds
    nest = outer()
    nest.inner = part(inner, 2)
    with pytest.raises(OutboxError, match=r"'nest.inner.weight' is under \['private', 'shared'\]"):
        split(model(nest=nest))


@pytest.mark.parametrize("order", [("encoder", "head"), ("head", "encoder")])
def test_a_parameter_tied_across_the_border_is_refused(order):
    encoder, head = part(SharedModule, 2), part(PrivateModule, 2)
    head.weight = encoder.weight
    parts = {"encoder": encoder, "head": head}
    with pytest.raises(OutboxError, match=r"\['private', 'shared'\]"):
        split(model(**{name: parts[name] for name in order}))


def test_a_module_used_on_both_sides_is_refused():
    common = nn.Linear(2, 2)
    encoder, head = SharedModule(), PrivateModule()
    encoder.layer, head.layer = common, common
    with pytest.raises(OutboxError, match="encoder"):
        split(model(encoder=encoder, head=head))


def test_buffers_stay_at_home():
    made = pair()
    made.head.register_buffer("seen", torch.full((3,), 4711.0))
    made.encoder.register_buffer("mean", torch.full((3,), 4712.0))
    shared, _ = split(made)
    assert set(shared.tensors) == {"encoder.weight"}


def test_merging_writes_in_place():
    made = pair()
    weight = made.encoder.weight
    merge(made, Shared({"encoder.weight": np.full((2, 3), 2.5, np.float32)}))
    assert made.encoder.weight is weight
    assert (weight == 2.5).all()
    assert weight.requires_grad
    assert (made.head.weight == 7.25).all()


def test_merging_private_values_too():
    made = pair()
    shared, _ = split(made)
    merge(made, shared, Private({"head.weight": np.full(4, 2.5, np.float32)}))
    assert (made.head.weight == 2.5).all()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"encoder.weight": np.ones((3, 2), np.float32)},
        {"encoder.weight": np.ones((2, 3), np.float32), "head.weight": np.ones(4, np.float32)},
        {"encoder.other": np.ones((2, 3), np.float32)},
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(values):
    made = pair()
    with pytest.raises(MessageRefusedError, match=r"encoder\.|head\.weight"):
        merge(made, Shared(values))
    assert (made.encoder.weight == 1.5).all()
    assert (made.head.weight == 7.25).all()


def test_a_shared_value_never_lands_in_a_private_parameter():
    made = pair()
    shared, _ = split(made)
    with pytest.raises(MessageRefusedError, match=r"head\.weight"):
        merge(made, shared, Private({}))
    stray = Private({"encoder.weight": np.zeros((2, 3), np.float32)})
    with pytest.raises(MessageRefusedError):
        merge(made, shared, stray)


def test_a_view_of_private_memory_is_refused():
    whole = pair()
    whole.encoder.weight = nn.Parameter(whole.head.weight.detach()[:2])

    with pytest.raises(OutboxError, match="weight"):
        split(whole)


def test_another_precision_is_refused_and_not_rounded():
    whole = pair()
    whole.encoder.weight = nn.Parameter(torch.full((2, 3), 1 / 3, dtype=torch.float64))

    with pytest.raises(OutboxError, match=r"encoder\.weight.*float64"):
        split(whole)
