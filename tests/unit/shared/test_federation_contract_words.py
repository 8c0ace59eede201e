"""A contract in words says what matters, and what another one changes."""

from dataclasses import replace

import pytest
from contract_cases import NAMES, key_of, member, plain_contract, pooled_contract

from isthmus.errors import NotApprovedError
from isthmus.federation_contract_claim import require_claim
from isthmus.federation_contract_words import asked, changes, member_fingerprint
from isthmus.identity import PlatformKeys, public_pem


def test_a_private_contract_says_its_price_and_who_is_trusted():
    contract = pooled_contract()
    told = dict(asked(contract))
    assert "epsilon 6 at delta" in told["privacy"]
    assert "over 6 rounds (4 and what a crash may cost)" in told["privacy"]
    assert "holds against all who are not members" in told["privacy"]
    plan = replace(contract.plan, shares=2)
    told_two = dict(asked(pooled_contract(colluders=1, plan=plan)))
    assert "at most 1 platforms collude" in told_two["privacy"]
    assert "adapts, from 1" in told["privacy"]
    assert told["server sees"].startswith("sums over 3 platforms")
    assert contract.sha256 in told["contract"]
    assert told["metrics"] == "none"


def test_a_contract_without_privacy_says_so_and_what_is_seen():
    told = dict(asked(plain_contract(patience=3)))
    assert told["privacy"].startswith("no differential privacy")
    assert "each platform's update" in told["server sees"]
    assert "fewer if 3 in a row" in told["rounds"]
    assert told["a round"].startswith("receives ")
    assert "KiB" in told["a round"]


def test_a_secure_sum_of_two_says_what_that_is_worth():
    told = dict(asked(plain_contract(secure=True, minimum=2)))
    assert "subtract its own part" in told["server sees"]


def test_what_the_adapters_read_is_told_where_it_is_a_part():
    whole = plain_contract()
    width = whole.encoder.content
    assert f"content of width {width}, the latest" in dict(asked(whole))["encoder"]
    shapes = replace(whole.encoder, adapter_width=3)
    narrow = dict(asked(plain_contract(encoder=shapes)))["encoder"]
    assert f"content of width {width} (3 of it read by the adapters), the latest" in narrow


def test_only_what_differs_is_told():
    before = plain_contract()
    assert changes(before, before) == ()
    assert changes(before, plain_contract(run="autumn", name="again")) == ()
    after = plain_contract(rounds=9, deadline_s=30.0, plan=replace(before.plan, negatives=64))
    assert changes(before, after) == (
        "deadline_s: 90.0 -> 30.0",
        "plan.negatives: 32 -> 64",
        "rounds: 5 -> 9",
    )


def test_members_that_come_go_or_change_are_told():
    before = plain_contract()
    after = plain_contract(
        members={
            NAMES[0]: member(NAMES[0], 900),
            NAMES[1]: member("somebody else"),
            "drill": member("drill"),
        }
    )
    assert changes(before, after) == (
        "members: drill is new",
        "members: crucible is gone",
        "members: anvil has 900 users, had 1,200",
        "members: bellows HAS ANOTHER IDENTITY KEY",
    )


def test_a_members_fingerprint_is_the_one_that_it_shows_itself():
    keys = PlatformKeys.fresh()
    told = {
        "signing": keys.public.signing.hex(),
        "node": public_pem(keys.node.public_key()).decode(),
        "users": 70,
    }
    contract = plain_contract(members={"own": told, "other": member("other")})
    assert member_fingerprint(contract.members["own"]) == keys.public.fingerprint
    other = member_fingerprint(contract.members["other"])
    assert other.startswith("SHA256:")
    assert other != member_fingerprint(plain_contract().members[NAMES[0]])
    assert key_of("other") is not None


def test_a_promise_is_worked_out_anew():
    assert require_claim(plain_contract()) == 0.0
    contract = pooled_contract()
    assert 5.5 < require_claim(contract) <= 6.0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"epsilon": 3.0}, "promises epsilon 3, but 6 rounds"),
        ({"paid_rounds": 100}, "but 100 rounds"),
        ({"delta": 1e-3}, "too large for the 40,000 published users of anvil"),
    ],
)
def test_a_promise_that_the_noise_does_not_keep_is_refused(changed, words):
    with pytest.raises(NotApprovedError, match=words):
        require_claim(pooled_contract(**changed))


def test_less_noise_than_promised_is_refused():
    plan = pooled_contract().plan
    thin = replace(plan, noise_multiplier=plan.noise_multiplier * 0.7)
    with pytest.raises(NotApprovedError, match="noise multiplier"):
        require_claim(pooled_contract(plan=thin))


def test_what_rounding_shares_of_very_little_noise_takes_of_delta_is_refused():
    plan = replace(pooled_contract().plan, noise_multiplier=0.4, sampling_rate=1.0)
    with pytest.raises(NotApprovedError, match="rounding shares of so little noise"):
        require_claim(pooled_contract(plan=plan, epsilon=180.0))


@pytest.mark.parametrize("noise", [1e300, 1e-300])
def test_noise_that_nobody_can_account_for_is_refused(noise):
    """A server's numbers end no platform's process."""
    plan = replace(pooled_contract().plan, noise_multiplier=noise)
    with pytest.raises(NotApprovedError, match=r"worked out|promises"):
        require_claim(pooled_contract(plan=plan))
