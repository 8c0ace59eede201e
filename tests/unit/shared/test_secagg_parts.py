"""Terms, sites, masks, shares and vectors by themselves."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from secagg_cases import CONTRACT, MODEL, Case

from isthmus import secagg
from isthmus.errors import AggregationError
from isthmus.messages import MAX_UPDATE_BYTES
from isthmus.parameters import GridSum
from isthmus.secagg import Conversation, Terms, default_threshold, keys, pairs, shamir, wire
from isthmus.secagg.keys import Secret
from isthmus.secagg.masks import Mask, masked

CASE = Case(5)
TERMS = CASE.terms


@pytest.mark.parametrize(
    ("change", "alarm"),
    [
        ({"threshold": 2}, "terms"),
        ({"threshold": 6}, "terms"),
        ({"minimum": 1}, "terms"),
        ({"minimum": 6}, "terms"),
        ({"round": 0}, "terms"),
        ({"attempt": 0}, "terms"),
        ({"bits": 16}, "terms"),
        ({"length": 0}, "terms"),
        ({"length": MAX_UPDATE_BYTES // 8 + 1}, "oversize"),
        ({"run": ""}, "terms"),
        ({"run": "x" * 129}, "terms"),
        ({"contract": b"short"}, "terms"),
        ({"members": TERMS.members[:1], "threshold": 1}, "terms"),
        ({"members": TERMS.members[::-1]}, "malformed"),
        ({"members": (*TERMS.members, TERMS.members[-1])}, "duplicate"),
        ({"members": (*TERMS.members, ("p9", TERMS.members[0][1]))}, "swapped_key"),
        ({"members": (*TERMS.members[:4], ("p9", b"short"))}, "terms"),
        ({"members": (*TERMS.members[:4], ("p" * 65, bytes(32)))}, "terms"),
        ({"members": tuple((f"{i:04}", bytes(32)) for i in range(257))}, "oversize"),
    ],
)
def test_terms_that_are_unsafe_or_too_large_are_refused(change, alarm):
    with pytest.raises(AggregationError) as caught:
        replace(TERMS, **change)
    assert caught.value.alarm == alarm


def test_a_claim_above_its_bound_is_refused_before_anything_is_read():
    """The claims are of 4 GiB and of four billion members; neither is there."""
    huge = b"\xff" * 4
    with pytest.raises(AggregationError) as caught:
        Terms.from_bytes(huge + b"spring")
    assert caught.value.alarm == "oversize"
    body = TERMS.to_bytes()
    at = len(wire.chunk(TERMS.run.encode())) + 6 * 8 + 32
    with pytest.raises(AggregationError, match="4294967295 platforms") as caught:
        Terms.from_bytes(body[:at] + huge + body[at + 4 :])
    assert caught.value.alarm == "oversize"


def test_the_context_changes_with_every_term():
    others = [{"run": "x"}, {"round": 6}, {"attempt": 2}, {"contract": MODEL}, {"threshold": 5}]
    others += [{"length": 8}, {"bits": 32}, {"minimum": 4}, {"members": CASE.terms.members[:4]}]
    contexts = {replace(TERMS, **change).context for change in others} | {TERMS.context}
    assert len(contexts) == len(others) + 1


def test_two_thirds_are_the_default_threshold():
    assert [default_threshold(n) for n in (2, 3, 4, 5, 6, 9, 10, 50)] == [2, 2, 3, 4, 4, 6, 7, 34]


@pytest.mark.parametrize(
    ("changes", "alarm"),
    [
        ({"after": 1}, "replay"),
        ({"after": 7}, "replay"),
        ({"contract": MODEL}, "terms"),
        ({"minimum": 3}, "terms"),
        ({"enrolled": dict(TERMS.members[:4])}, "unknown_sender"),
        ({"enrolled": {**dict(TERMS.members), "p3": bytes(32)}}, "swapped_key"),
        ({"identity": CASE.keys["p1"]}, "swapped_key"),
        ({"name": "p9"}, "unknown_sender"),
    ],
)
def test_a_platform_takes_part_in_what_it_agreed_to_only(changes, alarm):
    site = replace(CASE.site("p0"), **changes)
    with pytest.raises(AggregationError) as caught:
        Conversation(site, TERMS, MODEL)
    assert caught.value.alarm == alarm


@pytest.mark.parametrize(
    ("platforms", "threshold", "borne"), [(3, 2, 0), (3, 3, 1), (4, 3, 1), (6, 4, 1), (10, 7, 3)]
)
def test_a_platform_says_how_many_may_collude_with_the_server(platforms, threshold, borne):
    case = Case(platforms, threshold)
    assert Conversation(case.site("p0", colluders=borne), case.terms, MODEL)
    with pytest.raises(AggregationError, match=f"bear {borne} colluding") as caught:
        Conversation(case.site("p0", colluders=borne + 1), case.terms, MODEL)
    assert caught.value.alarm == "terms"


def test_every_alarm_is_documented():
    page = (Path(__file__).parents[3] / "docs" / "secure-aggregation.md").read_text()
    table = page.split("## Alarms")[1].split("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == sorted(secagg.Alarm)


def test_the_next_attempt_is_taken_part_in_whatever_round_it_is_of():
    """A run that was rolled back asks for earlier rounds again, under attempts that go on."""
    for number in (1, 5, 9):
        again = replace(TERMS, round=number, attempt=8)
        assert Conversation(CASE.site("p0", after=7), again, MODEL).opening


def slow_stream(key, count):
    """The words of AES-256-CTR from counter 0, in one piece."""
    cipher = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    return np.frombuffer(cipher.update(bytes(8 * count)), "<u8")


@pytest.mark.parametrize("length", [1, 8191, 8192, 8193, 20_001])
def test_masks_are_the_streams_in_one_piece(length):
    """Against the slow truth, with blocks that end before, at and after the vector."""
    vector = np.arange(length, dtype=np.uint64)
    found = masked(vector, [Mask(Secret(MODEL), True), Mask(Secret(CONTRACT), False)])
    expected = vector + slow_stream(MODEL, length) - slow_stream(CONTRACT, length)
    assert np.array_equal(found, expected)
    assert np.array_equal(vector, np.arange(length, dtype=np.uint64))


def test_masks_of_a_pair_cancel_and_are_of_one_round():
    one, other = keys.fresh(), keys.fresh()
    mine = pairs.pair_mask(one, MODEL, "a", "b", keys.public(other))
    theirs = pairs.pair_mask(other, MODEL, "b", "a", keys.public(one))
    assert (mine.key.value, mine.added, theirs.added) == (theirs.key.value, True, False)
    later = pairs.pair_mask(one, CONTRACT, "a", "b", keys.public(other))
    third = pairs.pair_mask(one, MODEL, "a", "c", keys.public(other))
    own = [pairs.self_mask(one, context, "a", added=True) for context in (MODEL, CONTRACT)]
    assert len({mask.key.value for mask in (mine, later, third, *own)}) == 5


def test_shares_of_less_than_the_threshold_fit_any_secret():
    """With two of three shares, one more point gives whatever secret one likes."""
    shares = dict(enumerate(shamir.split(keys.fresh(), 3, 5), start=1))
    guesses = {
        shamir.combine({1: shares[1], 4: shares[4], 5: bytes([g] * 32)}).value for g in range(9)
    }
    assert len(guesses) == 9


def test_a_sealed_share_is_its_own_receivers_alone():
    key, payload = keys.fresh(), bytes(64)
    sealed = keys.seal(key, payload, MODEL)
    assert keys.unseal(key, sealed, MODEL, "a").value == payload
    for wrong in (
        (keys.fresh(), sealed, MODEL),
        (key, sealed, CONTRACT),
        (key, sealed[::-1], MODEL),
    ):
        with pytest.raises(AggregationError) as caught:
            keys.unseal(*wrong, "a")
        assert caught.value.alarm == "bad_share"
        assert caught.value.__cause__ is None
    assert keys.seal(key, payload, MODEL) != sealed


def test_sums_on_the_grid_are_flattened_and_restored():
    tensors = {
        "b": np.array([[1, -2], [3, 4]]),
        "a": np.array(-(2**62)),
        "c": np.zeros((0, 3), int),
    }
    grid = GridSum(tensors)
    vector = secagg.flattened(grid)
    assert (vector.dtype, vector.view(np.int64).tolist()) == (np.uint64, [-(2**62), 1, -2, 3, 4])
    again = secagg.restored(vector + vector, grid.shapes())
    assert again.shapes() == grid.shapes()
    assert again.tensors["b"].tolist() == [[2, -4], [6, 8]]
    for wrong in (vector[:-1], vector.astype(np.uint32)):
        with pytest.raises(AggregationError):
            secagg.restored(wrong, grid.shapes())
