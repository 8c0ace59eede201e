"""A contract has one encoding, says each mistake by its field, and binds every round."""

import hashlib
import json

import pytest
from contract_cases import NAMES, TINY, key_of, member, plain_contract, plan_of, pooled_contract

from isthmus.encoder_config import EncoderConfig
from isthmus.errors import IdentityError, MessageRefusedError, NotApprovedError
from isthmus.federation_contract import MAX_CONTRACT_BYTES, FederationContract, require_plan
from isthmus.federation_contract_signing import LABEL, sign_contract, verify_contract


def test_the_hash_is_that_of_the_file():
    contract = plain_contract()
    assert contract.sha256 == hashlib.sha256(contract.to_bytes()).hexdigest()


def test_bytes_in_both_directions_follow_from_the_tensors():
    plain = plain_contract()
    assert plain.bytes_down == plain.bytes_up == 4 * plain.size
    assert pooled_contract().bytes_up == 8 * pooled_contract().size
    assert plain_contract(secure=True).bytes_up == 8 * plain.size


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rounds": 0}, "rounds: "),
        ({"trust": "local"}, "trust is local, but the plan's is none"),
        ({"epsilon": 3.0}, "epsilon is 3.0, must be 0 without privacy"),
        ({"minimum": 4}, "minimum is 4, must be 1 to 3 members"),
        ({"minimum": 1, "secure": True}, "minimum is 1, must be 2 to 3 members"),
        ({"members": {"a": member("a"), "b": member("b")}, "secure": True}, "needs 3"),
        ({"threshold": 1}, "threshold is 1, must be 2 to 3 members, or 0"),
        ({"tensors": {"event.weight": (4, 8)}}, "tensors are not those of the encoder"),
        ({"encoder": EncoderConfig(dim=5, heads=2)}, "encoder.heads 2 do not divide dim 5"),
        ({"encoder": EncoderConfig(dim=0)}, "encoder.dim is 0, must be 1 to 4096"),
        ({"encoder": EncoderConfig(adapter_width=0)}, "encoder.adapter_width is 0, must be 1"),
        ({"encoder": EncoderConfig(adapter_width=385)}, "encoder.adapter_width is 385, must be"),
        ({"encoder": EncoderConfig(dim=4096, heads=1)}, "bytes in an update"),
        ({"initial": "a" * 64}, "release_of must name a run"),
        ({"name": "spring\nprivacy  epsilon 1"}, "name has signs that cannot be seen"),
        ({"name": "spring\x1b[8A\x1b[J"}, "name has signs that cannot be seen"),
        ({"text_encoder": "\N{RIGHT-TO-LEFT OVERRIDE}x"}, "text_encoder has signs"),
        ({"score": "a\rb"}, "score has signs"),
        ({"metrics": ("loss\x1b[2K",)}, "metrics has signs"),
        ({"aggregation": {"name": "mean\n"}}, "aggregation has signs"),
        ({"optimiser": {"na\nme": 1}}, "optimiser has signs"),
        ({"metrics": ("m" * 201,)}, "metrics has a text of more than 200 characters"),
        ({"members": {}}, "members: "),
        ({"run": "../etc"}, "run: "),
        ({"members": {"a": member("a"), "b": member("a")}}, "must not share an identity key"),
        ({"members": {"a/b": member("a")}}, "members.a/b"),
        ({"deadline_s": float("inf")}, "deadline_s: "),
    ],
)
def test_what_does_not_fit_together_is_named(changes, words):
    with pytest.raises(MessageRefusedError) as refused:
        plain_contract(**changes)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"secure": False}, "secure must be on where noise is pooled"),
        ({"minimum": 2}, "minimum must be all 3 members"),
        ({"colluders": 1}, "plan.shares is 3, must be 3 members less 1 colluders"),
        ({"metrics": ("loss",)}, "metrics must be empty in a private run"),
        ({"paid_rounds": 3}, "paid_rounds is 3 rounds, must be 4 or more"),
        ({"paid_rounds": 109}, "paid_rounds is 109 rounds, must be 108 or less"),
        ({"delta": 0.0}, "delta is 0.0, must be above 0"),
    ],
)
def test_a_pool_without_its_conditions_is_refused(changes, words):
    with pytest.raises(MessageRefusedError, match=words):
        pooled_contract(**changes)


def test_unknown_fields_are_named_wherever_they_stand():
    document = json.loads(plain_contract().to_bytes())
    for place, name in (((), "bonus"), (("encoder",), "width"), (("members", NAMES[0]), "email")):
        altered = json.loads(json.dumps(document))
        part = altered
        for key in place:
            part = part[key]
        part[name] = 1
        with pytest.raises(MessageRefusedError) as refused:
            FederationContract.from_bytes(_canonical(altered))
        assert ".".join((*place, name)) + ": is unknown" in str(refused.value)


def test_an_unknown_setting_of_the_plan_is_named():
    document = json.loads(plain_contract().to_bytes())
    document["plan"]["shadow"] = 1
    with pytest.raises(MessageRefusedError, match=r"plan: .*shadow"):
        FederationContract.from_bytes(_canonical(document))


@pytest.mark.parametrize(
    "mangle",
    [
        lambda data: data.replace(b'"rounds":5', b'"rounds": 5'),
        lambda data: data.replace(b'"rounds":5', b'"rounds":5,"rounds":5'),
        lambda data: data + b"\n",
        lambda data: data.replace(b'"deadline_s":90.0', b'"deadline_s":90'),
    ],
)
def test_there_is_no_second_encoding(mangle):
    data = plain_contract().to_bytes()
    assert mangle(data) != data
    with pytest.raises(MessageRefusedError, match="one encoding"):
        FederationContract.from_bytes(mangle(data))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"0" * (MAX_CONTRACT_BYTES + 1)])
def test_what_is_no_contract_is_refused(data):
    with pytest.raises(MessageRefusedError, match="federation contract"):
        FederationContract.from_bytes(data)


def test_only_the_servers_signature_passes():
    contract, server = plain_contract(), key_of("server")
    public = server.public_key().public_bytes_raw()
    signature = sign_contract(contract, server)
    assert verify_contract(contract.to_bytes(), signature, public) == contract
    other = plain_contract(seed=12)
    for data, signed, by in (
        (contract.to_bytes(), sign_contract(contract, key_of("other")), public),
        (other.to_bytes(), signature, public),
        (contract.to_bytes(), server.sign(contract.to_bytes()), public),
        (contract.to_bytes(), signature[:-1], public),
        (contract.to_bytes(), signature, b"short"),
    ):
        with pytest.raises(IdentityError, match="signature"):
            verify_contract(data, signed, by)
    assert LABEL.endswith(b"\0")


def test_a_round_may_differ_in_its_number_alone():
    contract = plain_contract()
    for number in range(contract.rounds + 1):
        require_plan(contract, plan_of(contract, number))
    with pytest.raises(NotApprovedError, match="round 6 is beyond the approved 5"):
        contract.require_plan(plan_of(contract, 6))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("run_id", "autumn"),
        ("seed", 12),
        ("local_epochs", 2.0),
        ("learning_rate", 0.1),
        ("negatives", 33),
        ("validate", False),
    ],
)
def test_any_other_setting_is_refused_by_name(name, value):
    contract = plain_contract()
    with pytest.raises(NotApprovedError, match=f"{name} = {value!r}, approved is"):
        contract.require_plan(plan_of(contract, 2, **{name: value}))


@pytest.mark.parametrize(
    ("name", "factor"), [("noise_multiplier", 0.5), ("sampling_rate", 1.5), ("noise_multiplier", 2)]
)
def test_what_a_round_costs_cannot_change(name, factor):
    contract = pooled_contract()
    value = getattr(contract.plan, name) * factor
    with pytest.raises(NotApprovedError, match=name):
        contract.require_plan(plan_of(contract, 1, **{name: value}))


def test_an_adaptive_clipping_norm_may_move_and_a_fixed_one_may_not():
    adaptive = pooled_contract()
    adaptive.require_plan(plan_of(adaptive, 2, clipping_norm=0.37))
    fixed = pooled_contract(plan=plan_of(adaptive, 0, clipping_quantile=0.0))
    with pytest.raises(NotApprovedError, match="clipping_norm"):
        fixed.require_plan(plan_of(fixed, 2, clipping_norm=0.37))


def test_without_privacy_no_round_becomes_private():
    contract = plain_contract()
    private = plan_of(pooled_contract(), 1, run_id=contract.run)
    with pytest.raises(NotApprovedError):
        contract.require_plan(private)


def test_the_shape_has_a_name_of_its_own():
    assert plain_contract().encoder_sha256 == plain_contract(seed=3).encoder_sha256
    wider = EncoderConfig(content=8, dim=8, layers=1, heads=2, max_events=6)
    assert plain_contract(encoder=wider).encoder_sha256 != plain_contract().encoder_sha256
    assert plain_contract().encoder == TINY


def _canonical(document):
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("encoder", "dim"), "4"),
        (("encoder", "dim"), 4.0),
        (("encoder", "dim"), True),
        (("rounds",), "5"),
        (("secure",), 0),
        (("members", NAMES[0], "users"), 1200.0),
        (("plan", "negatives"), 32.0),
    ],
)
def test_a_value_of_another_type_is_refused(where, value):
    document = json.loads(plain_contract().to_bytes())
    part = document
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    with pytest.raises(MessageRefusedError, match=where[-1]):
        FederationContract.from_bytes(_canonical(document))
