"""What the server refuses from platforms, and what it makes of the rest."""

from dataclasses import replace

import numpy as np
import pytest
from secagg_cases import MODEL, PHASES, Case, play, total_of

from isthmus.errors import AggregationError
from isthmus.secagg import Conversation, keys, opened
from isthmus.secagg.bodies import Advert, Reveal, Sealed
from isthmus.secagg.messages import Signed, signed

CASE = Case(4)
LIAR = "p2"


def lied(phase, edit, case=CASE, **drops):
    """A round in which one platform signs another body."""

    def up(when, name, data):
        if (when, name) != (phase, LIAR):
            return data
        message = Signed.from_bytes(data)
        new = edit(bytes(message.body))
        key = case.keys[LIAR]
        return signed(message.kind, message.context, message.seen, LIAR, new, key).to_bytes()

    return play(case, case.vectors(), drops, up=up)


def with_advert(**changes):
    return lambda body: replace(Advert.from_bytes(body), **changes).to_bytes()


@pytest.mark.parametrize(
    ("phase", "edit", "alarm"),
    [
        ("advert", with_advert(model=bytes(32)), "model_differs"),
        ("advert", with_advert(sealing=bytes(32)), "bad_key"),
        ("advert", lambda body: body + b"x", "malformed"),
        ("shares", lambda b: Sealed(Sealed.from_bytes(b).parts[:-1]).to_bytes(), "bad_share"),
        ("shares", lambda body: body[:-1], "malformed"),
        ("shares", lambda b: Sealed(Sealed.from_bytes(b).parts[::-1]).to_bytes(), "malformed"),
        ("shares", lambda b: Sealed(Sealed.from_bytes(b).parts[:1] * 3).to_bytes(), "duplicate"),
        ("reveal", lambda b: Reveal(Reveal.from_bytes(b).parts[:1] * 4).to_bytes(), "duplicate"),
        ("vector", lambda body: body[:-8], "bad_vector"),
        ("vector", lambda body: body + bytes(8), "bad_vector"),
        ("agreement", lambda _: b"x", "malformed"),
        ("reveal", lambda b: Reveal(Reveal.from_bytes(b).parts[:-1]).to_bytes(), "bad_share"),
    ],
)
def test_a_platform_with_a_wrong_body_counts_as_dropped(phase, edit, alarm):
    played = lied(phase, edit)
    assert played.alarms == [(LIAR, alarm)]
    assert np.array_equal(played.total, total_of(CASE, CASE.vectors(), played.counted))
    assert (LIAR in played.counted) == (phase in ("agreement", "reveal"))


def test_a_copied_key_is_refused():
    first, second = (Conversation(CASE.site(n), CASE.terms, MODEL).opening for n in ("p0", LIAR))
    stolen = Advert.from_bytes(Signed.from_bytes(first).body).masking
    message = Signed.from_bytes(second)
    body = with_advert(masking=stolen)(message.body)
    args = (message.kind, message.context, message.seen, LIAR, body)
    phase = opened(CASE.terms, MODEL).receive(first)
    assert refused(phase, signed(*args, CASE.keys[LIAR]).to_bytes()) == "swapped_key"


def refused(phase, data):
    with pytest.raises(AggregationError) as caught:
        phase.receive(data)
    return caught.value.alarm


def test_a_stranger_is_refused():
    stranger = replace(CASE, platforms=5)
    opening = Conversation(stranger.site("p4"), stranger.terms, MODEL).opening
    assert refused(opened(CASE.terms, MODEL), opening) == "unknown_sender"


def test_who_did_not_come_to_a_phase_cannot_join_the_next():
    stale = play(CASE, CASE.vectors()).sent
    phase = opened(CASE.terms, MODEL)
    talks = CASE.talks()
    for name in ("p0", "p1", "p3"):
        phase = phase.receive(talks[name].opening)
    phase, notices = phase.close()
    assert set(notices) == {"p0", "p1", "p3"} == set(phase.waiting)
    assert refused(phase, stale["shares", LIAR]) == "unknown_sender"
    assert refused(phase, stale["shares", "p0"]) == "view_differs"


def test_a_second_message_is_refused_and_the_first_stands():
    talk, again = (Conversation(CASE.site(LIAR), CASE.terms, MODEL) for _ in range(2))
    phase = opened(CASE.terms, MODEL).receive(talk.opening)
    assert refused(phase, talk.opening) == "duplicate"
    assert refused(phase, again.opening) == "duplicate"
    assert phase.got[LIAR].to_bytes() == talk.opening


def test_a_message_in_anothers_name_is_refused():
    message = Signed.from_bytes(Conversation(CASE.site("p0"), CASE.terms, MODEL).opening)
    for sender in ("p1", LIAR):
        forged = replace(message, sender=sender).to_bytes()
        assert refused(opened(CASE.terms, MODEL), forged) == "bad_signature"


@pytest.mark.parametrize(
    "change", [{"round": 4}, {"attempt": 2}, {"run": "autumn"}, {"minimum": 3}]
)
@pytest.mark.parametrize("phase", PHASES)
def test_a_message_of_another_round_is_refused(phase, change):
    old = play(replace(CASE, **change), CASE.vectors()).sent
    played = play(
        CASE, CASE.vectors(), up=lambda p, n, d: old[p, n] if (p, n) == (phase, LIAR) else d
    )
    assert played.alarms == [(LIAR, "replay")]
    assert np.array_equal(played.total, total_of(CASE, CASE.vectors(), played.counted))


def test_a_message_of_another_phase_is_refused():
    sent = {}

    def reordered(phase, name, data):
        sent[phase, name] = data
        return sent["advert", LIAR] if (phase, name) == ("vector", LIAR) else data

    assert play(CASE, CASE.vectors(), up=reordered).alarms == [(LIAR, "order")]


def wrong_shares(body):
    parts = Reveal.from_bytes(body).parts
    return Reveal(tuple((n, bytes([p[0] ^ 1]) + p[1:]) for n, p in parts)).to_bytes()


def test_wrong_shares_are_found_out_and_do_no_harm_beside_enough_right_ones():
    played = lied("reveal", wrong_shares)
    assert played.alarms == []
    assert np.array_equal(played.total, total_of(CASE, CASE.vectors(), CASE.names))
    without = lied("reveal", wrong_shares, p3="vector")
    assert (without.aborted, without.total) == ("bad_share", None)


@pytest.mark.parametrize(("secret", "drops"), [("seed", {}), ("masking", {LIAR: "vector"})])
def test_shares_of_a_secret_that_was_not_announced_are_found_out(secret, drops):
    """A platform that shares other secrets than those whose public sides it has signed."""
    talks = CASE.talks()
    state = talks[LIAR]._state
    false = replace(state.round, **{secret: keys.fresh()})
    talks[LIAR]._state = replace(state, round=false)
    played = play(CASE, CASE.vectors(), drops, talks=talks)
    assert (played.aborted, played.total) == ("bad_share", None)
    assert f"{LIAR!r} announced" in played.texts[-1]


@pytest.mark.parametrize("phase", PHASES)
def test_below_the_threshold_there_is_no_sum(phase):
    played = play(CASE, CASE.vectors(), {"p0": phase, "p3": phase})
    assert (played.aborted, played.total) == ("too_few", None)


def test_the_minimum_cohort_is_of_the_sum():
    """Of two of three, each could take its own part off and read the other's."""
    case = Case(3, minimum=3)
    assert case.terms.threshold == 2
    for phase in ("advert", "shares", "vector"):
        played = play(case, case.vectors(), {"p1": phase})
        assert (played.aborted, played.alarms) == ("too_few", [])
    late = play(case, case.vectors(), {"p1": "reveal"})
    assert np.array_equal(late.total, total_of(case, case.vectors(), case.names))


def test_signed_numbers_come_out_signed():
    case = Case(3, length=2)
    vectors = {name: np.array([-5, 2**62], np.int64) for name in case.names}
    total = play(case, vectors).total.view(np.int64)
    assert total.tolist() == [-15, 3 * 2**62 - 2**64]


def test_a_refused_message_leaves_the_phase_as_it_was():
    phase = opened(CASE.terms, MODEL)
    assert refused(phase, b"") == "malformed"
    assert refused(phase, b"ISA1" + bytes([2]) + bytes(64)) == "malformed"
    assert phase.waiting == tuple(CASE.names)
