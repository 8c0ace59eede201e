"""Any module tree: `split` shares exactly what lies below shared modules, or refuses."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from isthmus.border import merge, split
from isthmus.encoder import PrivateModule, SharedModule
from isthmus.errors import OutboxError

BRIEF = settings(deadline=None, max_examples=200)
KINDS = (nn.Module, SharedModule, PrivateModule)
SECRET = 4711.0  # added to every private value: nothing shared comes near

shapes = st.lists(st.integers(1, 3), max_size=2).map(tuple)
leaves = st.tuples(st.sampled_from(KINDS), st.lists(shapes, max_size=2), st.just([]))
trees = st.recursive(
    leaves,
    lambda inner: st.tuples(
        st.sampled_from(KINDS), st.lists(shapes, max_size=2), st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


def sound(tree, side=None):
    """The tree with what would be refused left out: stray parameters and nested borders."""
    kind, own, children = tree
    if side is not None:
        kind = nn.Module if kind is not side else kind
    elif kind is not nn.Module:
        side = kind
    return kind, own if side else [], [sound(child, side) for child in children]


def grown(tree, sides=(), prefix=""):
    """The module of a tree, and {parameter name: sides above it}; private values are SECRET."""
    kind, own, children = tree
    module, named = kind(), {}
    sides = sides if kind is nn.Module else (*sides, kind)
    for place, shape in enumerate(own):
        value = torch.arange(int(np.prod(shape)), dtype=torch.float32).reshape(shape)
        secret = SECRET if PrivateModule in sides else 0.0
        module.register_parameter(f"p{place}", nn.Parameter(value / 8 + secret))
        named[f"{prefix}p{place}"] = frozenset(sides)
    for place, child in enumerate(children):
        inner, more = grown(child, sides, f"{prefix}c{place}.")
        module.add_module(f"c{place}", inner)
        named |= more
    return module, named


@BRIEF
@given(trees)
def test_what_is_under_none_or_both_is_refused_and_all_else_is_told_apart(tree):
    module, named = grown(tree)
    if any(len(sides) != 1 for sides in named.values()):
        with pytest.raises(OutboxError, match="module of the privacy border"):
            split(module)
        return
    shared, private = split(module)
    assert set(shared.tensors) == {n for n, sides in named.items() if sides == {SharedModule}}
    assert set(private.tensors) == {n for n, sides in named.items() if sides == {PrivateModule}}


@BRIEF
@given(trees.map(sound))
def test_no_private_value_is_shared_and_none_is_lost(tree):
    module, named = grown(tree)
    shared, private = split(module)
    assert set(shared.tensors) | set(private.tensors) == set(named)
    assert all((tensor < SECRET / 2).all() for tensor in shared.tensors.values())
    assert all((tensor >= SECRET).all() for tensor in private.tensors.values())
    for name, parameter in module.named_parameters():
        held = {**shared.tensors, **private.tensors}[name]
        np.testing.assert_array_equal(held, parameter.detach().numpy())


@BRIEF
@given(trees.map(sound), st.booleans())
def test_merging_what_was_split_is_the_identity(tree, with_private):
    module, _ = grown(tree)
    shared, private = split(module)
    other, _ = grown(tree)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0).sub_(1)
    merge(other, shared, private if with_private else None)
    after_shared, after_private = split(other)
    assert after_shared.fingerprint() == shared.fingerprint()
    kept = all((tensor == -1).all() for tensor in after_private.tensors.values())
    assert (after_private.fingerprint() == private.fingerprint()) if with_private else kept


@st.composite
def two_sided(draw):
    """A tree with parameters on either side."""
    sides = [(kind, [draw(shapes)], []) for kind in KINDS[1:]]
    more = draw(st.lists(trees.map(sound), max_size=2))
    return nn.Module, [], draw(st.permutations([*sides, *more]))


@BRIEF
@given(two_sided(), st.data())
def test_a_parameter_tied_across_the_border_is_refused_wherever_it_hangs(tree, data):
    module, named = grown(tree)
    sides = {side: [n for n, s in named.items() if side in s] for side in KINDS[1:]}
    owners = dict(module.named_modules())
    source, target = (data.draw(st.sampled_from(sides[side])) for side in KINDS[1:])
    holder, _, name = target.rpartition(".")
    setattr(owners[holder], name, module.get_parameter(source))
    with pytest.raises(OutboxError, match="private"):
        split(module)
