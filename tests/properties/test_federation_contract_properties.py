"""Any contract: one encoding, a hash that any change moves; any encoder: shapes without PyTorch."""

import json
import math
from dataclasses import replace

import pytest
from contract_cases import member, plain_contract
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.border import split
from isthmus.encoder import initial_encoder
from isthmus.encoder_config import EncoderConfig, tensor_shapes
from isthmus.errors import MessageRefusedError, NotApprovedError
from isthmus.federation_contract import FederationContract
from isthmus.messages import RoundPlan

VISIBLE = st.characters(codec="utf-8", exclude_categories=("C", "Z"))
"""What a person who reads a contract can see."""

HEADS = st.integers(1, 3)
ENCODERS = st.builds(
    lambda heads, width, **rest: EncoderConfig(dim=heads * width, heads=heads, **rest),
    heads=HEADS,
    width=st.integers(1, 5),
    content=st.integers(1, 12),
    layers=st.integers(0, 3),
    expansion=st.integers(1, 4),
    max_events=st.integers(1, 9),
    prior_scale=st.floats(0.1, 50),
    adapter_width=st.none() | st.just(1),
)
NAMES = st.lists(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True),
    min_size=3,
    max_size=6,
    unique=True,
)
CONTRACTS = st.builds(
    lambda names, users, **rest: plain_contract(
        members={name: member(name, users) for name in names}, **rest
    ),
    names=NAMES,
    users=st.integers(0, 10**9),
    run=st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True),
    name=st.text(VISIBLE, min_size=1, max_size=40).filter(str.strip),
    encoder=ENCODERS,
    seed=st.integers(0, 2**31 - 1),
    rounds=st.integers(1, 10**6),
    deadline_s=st.floats(0.001, 7 * 86_400),
    patience=st.integers(0, 9),
    secure=st.booleans(),
)
several = settings(max_examples=40, deadline=None)

VISIBLE = st.characters(codec="utf-8", exclude_categories=("C", "Z"))
"""What a person who reads a contract can see."""


@several
@given(ENCODERS)
def test_shapes_are_those_of_the_encoder(config):
    assert tensor_shapes(config) == split(initial_encoder(config, 0))[0].shapes()


@several
@given(CONTRACTS)
def test_bytes_give_the_contract_and_the_contract_the_bytes(contract):
    data = contract.to_bytes()
    again = FederationContract.from_bytes(data)
    assert again == contract
    assert again.to_bytes() == data
    assert again.sha256 == contract.sha256


@several
@given(CONTRACTS, st.data())
def test_a_change_of_any_value_moves_the_hash_or_is_refused(contract, data):
    document = json.loads(contract.to_bytes())
    where = data.draw(st.sampled_from(sorted(_leaves(document))))
    altered = _changed(document, where)
    encoded = json.dumps(altered, sort_keys=True, separators=(",", ":")).encode()
    try:
        found = FederationContract.from_bytes(encoded)
    except MessageRefusedError:
        return
    assert found.sha256 != contract.sha256
    assert found != contract


@several
@given(CONTRACTS, st.from_regex(r"[a-z]{3,12}", fullmatch=True))
def test_an_unknown_field_is_refused_by_its_name(contract, name):
    document = json.loads(contract.to_bytes())
    if name in document:
        return
    encoded = json.dumps({**document, name: 0}, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(MessageRefusedError, match=rf"\b{name}: is unknown"):
        FederationContract.from_bytes(encoded)


@several
@given(CONTRACTS, st.data())
def test_a_missing_field_without_a_default_is_refused_by_its_name(contract, data):
    document = json.loads(contract.to_bytes())
    name = data.draw(st.sampled_from(["run", "encoder", "seed", "plan", "members", "secure"]))
    del document[name]
    with pytest.raises(MessageRefusedError, match=name):
        FederationContract.from_bytes(json.dumps(document).encode())


@several
@given(ENCODERS)
def test_size_counts_every_number(config):
    contract = plain_contract(encoder=replace(config, layers=1))
    assert contract.size == sum(map(math.prod, tensor_shapes(contract.encoder).values()))


@several
@given(CONTRACTS, st.data())
def test_a_round_that_asks_for_anything_else_is_refused(contract, data):
    plan = replace(contract.plan, round=data.draw(st.integers(0, contract.rounds)))
    contract.require_plan(plan)
    record = plan.to_record()
    name = data.draw(st.sampled_from(sorted(record.keys() - {"round", "privacy", "protocol"})))
    try:
        other = RoundPlan.from_record(record | {name: _other(record[name])})
    except MessageRefusedError:
        return
    with pytest.raises(NotApprovedError, match=name):
        contract.require_plan(other)


def _leaves(part, path=()):
    """Where each plain value of a document stands; names of platforms may hold dots, so tuples."""
    if isinstance(part, dict):
        return [leaf for key, value in part.items() for leaf in _leaves(value, (*path, key))]
    return [path]


def _changed(document, where):
    """A copy with another value of the same type at one place."""
    copy = json.loads(json.dumps(document))
    part = copy
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = _other(part[where[-1]])
    return copy


def _other(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 if value else 0.5
    if isinstance(value, str):
        return ("b" if value[:1] == "a" else "a") + value[1:]
    return [*value, 1]
