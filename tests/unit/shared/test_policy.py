"""A policy says yes to what lies within it, and names every bound that is broken."""

import tomllib

import pytest
from contract_cases import NAMES, plain_contract, pooled_contract

from isthmus.errors import DataMissingError, ScenarioError
from isthmus.policy import decide, load_policy, parse_policy

LEAST = "max_epsilon = 8.0\nmax_rounds = 500\n"
LOOSE = {
    "max_epsilon": 6.0,
    "max_rounds": 5,
    "min_platforms": 3,
    "trust": ["none", "pooled"],
    "require_secure": False,
}


def test_what_lies_within_is_approved_with_what_was_looked_at():
    for contract in (plain_contract(), pooled_contract()):
        approved, reasons = decide(contract, parse_policy(LOOSE))
        assert approved
        assert any("rounds of at most 5" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_epsilon": 5.9}, "its epsilon is 6, at most 5.9"),
        ({"max_delta": 1e-9}, "its delta is"),
        ({"max_rounds": 3}, "it has 4 rounds, at most 3"),
        ({"min_platforms": 4}, "it has 3 platforms, at least 4"),
        ({"trust": ["local"]}, "its trust mode is pooled; the policy agrees to local"),
        ({"max_round_bytes": 100}, "bytes, at most 100"),
        ({"encoders": ["0" * 64]}, "is not on the policy's list"),
        ({"members": [*NAMES[:2], "other"]}, "crucible may not take part"),
    ],
)
def test_a_broken_bound_is_named_and_alone(change, words):
    approved, reasons = decide(pooled_contract(), parse_policy(LOOSE | change))
    assert not approved
    assert len(reasons) == 1
    assert words in reasons[0]


def test_all_broken_bounds_are_named():
    approved, reasons = decide(plain_contract(), parse_policy({"max_epsilon": 1, "max_rounds": 1}))
    assert not approved
    assert len(reasons) == 3  # rounds, trust none, no secure aggregation


def test_lists_let_through_what_they_name():
    contract = pooled_contract()
    lists = {"encoders": [contract.encoder_sha256], "members": list(NAMES)}
    assert decide(contract, parse_policy(LOOSE | lists))[0]


def test_a_policy_of_bounds_alone_agrees_to_nothing_in_the_clear():
    policy = parse_policy(tomllib.loads(LEAST))
    assert decide(pooled_contract(), policy)[0]
    assert not decide(plain_contract(), policy)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_epsilonn": 3}, "max_epsilonn is no key of a policy"),
        ({"max_epsilon": -1}, "max_epsilon: "),
        ({"trust": ["everybody"]}, "trust"),
        ({"encoders": ["abc"]}, "encoders"),
    ],
)
def test_a_wrong_key_is_named(change, words):
    with pytest.raises(ScenarioError, match=words):
        parse_policy(LOOSE | change, "policy.toml")


def test_a_file_that_is_none_is_told(tmp_path):
    with pytest.raises(DataMissingError, match="no policy at"):
        load_policy(tmp_path / "policy.toml")
    (tmp_path / "policy.toml").write_text("max_epsilon = = 3")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_policy(tmp_path / "policy.toml")
    (tmp_path / "policy.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_policy(tmp_path / "policy.toml")
    (tmp_path / "policy.toml").write_text(LEAST)
    assert load_policy(tmp_path / "policy.toml").require_secure
