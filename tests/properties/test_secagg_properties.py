"""The sum is exact whoever drops out, or the round is given up; what is sent alone is noise."""

import numpy as np
import pytest
from Crypto.Protocol.SecretSharing import Shamir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from secagg_cases import MODEL, PHASES, Case, play, total_of

from isthmus.errors import AggregationError
from isthmus.secagg import Terms, field, opened, shamir
from isthmus.secagg.keys import Secret
from isthmus.secagg.messages import Signed

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def rounds(draw):
    """A case, and who drops out in which phase."""
    platforms = draw(st.integers(3, 8))
    threshold = draw(st.integers(platforms // 2 + 1, platforms))
    bits = draw(st.sampled_from([32, 64]))
    case = Case(platforms, threshold, length=draw(st.integers(1, 40)), bits=bits)
    gone = draw(st.lists(st.sampled_from(case.names), unique=True))
    return case, {name: draw(st.sampled_from(PHASES)) for name in gone}


@FEW
@given(rounds(), st.integers(0, 2**32))
def test_the_sum_is_exact_down_to_the_threshold_and_there_is_none_below(made, seed):
    case, drops = made
    vectors = case.vectors(seed)
    played = play(case, vectors, drops)
    assert played.alarms == []
    if case.platforms - len(drops) >= case.terms.threshold:
        assert np.array_equal(played.total, total_of(case, vectors, played.counted))
        late = {n for n, when in drops.items() if when in ("agreement", "reveal")}
        assert set(played.counted) == set(case.names) - (set(drops) - late)
    else:
        assert played.total is None
        assert played.aborted == "too_few"


@FEW
@given(st.integers(3, 8), st.sampled_from(PHASES), st.data())
def test_any_drop_outs_up_to_the_threshold_are_borne_in_any_phase(platforms, phase, data):
    case = Case(platforms)
    most = platforms - case.terms.threshold
    gone = data.draw(st.sets(st.sampled_from(case.names), max_size=most))
    vectors = case.vectors()
    played = play(case, vectors, dict.fromkeys(gone, phase))
    assert np.array_equal(played.total, total_of(case, vectors, played.counted))


@FEW
@given(st.sampled_from(PHASES), st.integers(0, 3), st.data())
def test_a_byte_changed_on_the_way_up_is_refused_or_leaves_the_sum_right(phase, who, data):
    case = Case(4)
    vectors, name = case.vectors(), case.names[who]
    played = play(case, vectors, up=changing(phase, name, data))
    assert played.alarms
    assert {sender for sender, _ in played.alarms} == {name}
    assert np.array_equal(played.total, total_of(case, vectors, played.counted))


@FEW
@given(st.sampled_from(PHASES[1:]), st.integers(0, 3), st.data())
def test_a_byte_changed_on_the_way_down_is_refused_or_leaves_the_sum_right(phase, who, data):
    case = Case(4)
    vectors, name = case.vectors(), case.names[who]
    played = play(case, vectors, down=changing(phase, name, data))
    assert played.alarms
    assert played.alarms[0][0] == name
    if played.total is not None:
        assert np.array_equal(played.total, total_of(case, vectors, played.counted))


def changing(phase, name, data):
    """Alters one byte of one message."""

    def alter(when, whose, message):
        if (when, whose) != (phase, name):
            return message
        at = data.draw(st.integers(0, len(message) - 1))
        flip = data.draw(st.integers(1, 255))
        return message[:at] + bytes([message[at] ^ flip]) + message[at + 1 :]

    return alter


@FEW
@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_in_canonical_form_or_refused(data):
    for read in (Signed.from_bytes, Terms.from_bytes):
        with pytest.raises(AggregationError):
            read(b"ISA1" + data)
        with pytest.raises(AggregationError):
            opened(Case().terms, MODEL).receive(data)


@FEW
@given(rounds())
def test_terms_and_messages_have_one_encoding(made):
    case, drops = made
    assert Terms.from_bytes(case.terms.to_bytes()) == case.terms
    for message in play(case, case.vectors(), drops).sent.values():
        assert Signed.from_bytes(message).to_bytes() == message
        with pytest.raises(AggregationError):
            Signed.from_bytes(message + b"\0")
        with pytest.raises(AggregationError):
            Signed.from_bytes(message[:-1])


@FEW
@given(st.integers(2, 9), st.data())
def test_any_threshold_of_shares_gives_the_secret_and_fewer_give_another(count, data):
    threshold = data.draw(st.integers(2, count))
    secret = Secret(data.draw(st.binary(min_size=32, max_size=32)))
    shares = dict(enumerate(shamir.split(secret, threshold, count), start=1))
    holders = data.draw(st.permutations(sorted(shares)))
    enough = {x: shares[x] for x in holders[:threshold]}
    assert shamir.combine(enough).value == secret.value
    halves = [
        Shamir.combine([(x, share[at : at + 16]) for x, share in enough.items()]) for at in (0, 16)
    ]
    assert b"".join(halves) == secret.value  # PyCryptodome's own
    enough.popitem()
    assert shamir.combine(enough).value != secret.value


@FEW
@given(*[st.integers(0, 2**128 - 1)] * 3)
def test_the_field_is_a_field(a, b, c):
    assert field.product(a, b) == field.product(b, a) < 2**128
    assert field.product(a, b ^ c) == field.product(a, b) ^ field.product(a, c)
    assert field.product(field.product(a, b), c) == field.product(a, field.product(b, c))
    assert field.product(a, 1) == a
    if a:
        assert field.product(a, field.inverse(a)) == 1


def masked_words(value, length=4000):
    """What four platforms send for vectors that are `value` everywhere."""
    case = Case(length=length)
    vectors = {name: np.full(length, value, np.uint64) for name in case.names}
    sent = play(case, vectors).sent
    return [bytes(Signed.from_bytes(sent["vector", name]).body) for name in case.names]


def test_masked_vectors_are_uniform_whatever_is_in_them():
    """Chi-squared over bytes, and over the first differences, which a reused mask would show."""
    zeros, ones = masked_words(0), masked_words(2**63 - 1)
    for body in (*zeros, *ones):
        words = np.frombuffer(body, np.uint64)
        for bytes_ in (np.frombuffer(body, np.uint8), np.diff(words).view(np.uint8)):
            assert stats.chisquare(np.bincount(bytes_, minlength=256)).pvalue > 1e-6
    first, other = (np.frombuffer(b"".join(each), np.uint64) for each in (zeros, ones))
    assert stats.ks_2samp(first, other).pvalue > 1e-6
    assert not np.intersect1d(first, other).size


def test_the_uniformity_test_sees_what_is_not_masked():
    """The control: the same tests fail on a vector under a mask that is used twice."""
    body = masked_words(0)[0]
    twice = np.frombuffer(body, np.uint64) - np.frombuffer(body, np.uint64)
    counts = np.bincount(twice.view(np.uint8), minlength=256)
    assert stats.chisquare(counts).pvalue < 1e-6


def test_masks_of_two_rounds_have_nothing_in_common():
    first, again = (masked_words(0)[0] for _ in range(2))
    difference = np.frombuffer(first, np.uint64) - np.frombuffer(again, np.uint64)
    assert stats.chisquare(np.bincount(difference.view(np.uint8), minlength=256)).pvalue > 1e-6
