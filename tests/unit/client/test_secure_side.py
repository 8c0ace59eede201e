"""A platform's sessions: their order, their number on disk, and what ends them."""

from dataclasses import replace

import pytest
from secure_rounds import CONTRACT, Hall
from toy_platforms import INITIAL, server_config, toys

from isthmus.errors import AggregationError, MessageRefusedError, StoreError
from isthmus.parameters import Shared
from isthmus.secagg import Terms, opened
from isthmus.secagg.bodies import Bundle
from isthmus.secagg.messages import Kind, Notice, Signed
from isthmus.secure_sums import layout_for
from isthmus_client.secure_side import Attendance, Opening, SecureSide

PLAN = server_config().plan_for(1)


@pytest.fixture
def hall(tmp_path):
    return Hall(tmp_path, toys(*"abc"))


def opening(hall, *, plan=PLAN, kind="train", **changes):
    length = layout_for(INITIAL, plan, ("loss",)).length
    values = {"run": "run-1", "round": 1, "length": length, "threshold": 2, "attempt": 5}
    terms = Terms(
        **{**values, **changes}, contract=CONTRACT, members=tuple(sorted(hall.identities.items()))
    )
    return Opening(terms.to_bytes(), INITIAL, plan, ("loss",), "users", kind)


def talk(hall, side, first):
    """All platforms up to phase 2; what the server tells each of them for phase 3."""
    phase = opened(Terms.from_bytes(first.terms), first.digest)
    for name in hall.names:
        phase = phase.receive(side.advertise(name, first))
    phase, notices = phase.close()
    for name in hall.names:
        phase = phase.receive(side.share(name, notices[name]))
    return phase.close()


def test_the_last_session_is_on_disk_before_its_first_message_is_out(hall):
    side = SecureSide(hall.seat)
    side.advertise("a", opening(hall))
    assert hall.seat("a").attendance.last("run-1") == 5
    assert hall.seat("a").attendance.last("run-2") == 0


def test_a_session_that_cannot_be_written_down_is_not_begun(hall):
    (hall.folder / "seats").write_text("in the way of the folder")
    side = SecureSide(hall.seat)
    with pytest.raises(OSError, match="seats"):
        side.advertise("a", opening(hall))
    with pytest.raises(AggregationError, match="is in no session"):
        side.share("a", b"")


@pytest.mark.parametrize("attempt", [1, 4, 5])
def test_an_older_session_is_a_replay_of_whatever_round(hall, attempt):
    SecureSide(hall.seat).advertise("a", opening(hall))
    later = replace(PLAN, round=3)
    restarted = SecureSide(hall.seat)
    with pytest.raises(AggregationError) as caught:
        restarted.advertise("a", opening(hall, plan=later, round=3, attempt=attempt))
    assert caught.value.alarm == "replay"
    assert restarted.advertise("a", opening(hall, attempt=6))  # also of an earlier round


@pytest.mark.parametrize("text", ["", "[1]", '{"run-1": "5"}', '{"run-1": true}'])
def test_an_altered_attendance_is_not_guessed_at(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(StoreError, match="does not say which rounds"):
        Attendance(tmp_path / "a.json").last("run-1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"run": "run-2"}, "run 'run-2', the plan is of round 1 of run 'run-1'"),
        ({"round": 2}, "terms are of round 2"),
        ({"length": 9}, "terms are for 9 numbers"),
        ({"bits": 32}, "of 32 bits"),
    ],
)
def test_terms_of_another_round_than_the_plan_are_refused(hall, changes, words):
    with pytest.raises(MessageRefusedError, match=words):
        SecureSide(hall.seat).advertise("a", opening(hall, **changes))


def test_pooled_noise_is_summed_over_all_enrolled_platforms_or_not_at_all(hall):
    pooled = replace(
        PLAN,
        validate=False,
        privacy="pooled",
        clipping_norm=1.0,
        noise_multiplier=1.0,
        sampling_rate=0.5,
    )
    hall.trainers = toys(*"abcd")
    asked = opening(hall, plan=pooled, length=layout_for(INITIAL, pooled).length, threshold=3)
    with pytest.raises(AggregationError, match="3 platforms, 4 is our least"):
        SecureSide(hall.seat).advertise("a", asked)


@pytest.mark.parametrize(
    "other",
    [
        {"metrics": ("seconds",)},
        {"weights": "equal"},
        {"plan": replace(PLAN, learning_rate=0.5)},
        {"received": Shared({name: each + 1 for name, each in INITIAL.tensors.items()})},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_server_that_tells_one_platform_otherwise_gets_no_sum(hall, other):
    """Else it could ask the others for a metric that they have not, and read what one told."""
    side, first = SecureSide(hall.seat), opening(hall)
    told = {"a": first, "b": replace(first, **other), "c": replace(first, **other)}
    adverts = [Signed.from_bytes(side.advertise(name, told[name])) for name in hall.names]
    terms = Terms.from_bytes(first.terms)
    history = opened(terms, first.digest).seen
    notice = Notice(Kind.ROSTER, terms.context, history, Bundle(tuple(adverts)).to_bytes())
    with pytest.raises(AggregationError) as caught:
        side.share("a", notice.to_bytes())
    assert caught.value.alarm == "model_differs"
    with pytest.raises(AggregationError, match="is in no session"):
        side.mask(hall.trainers[0], hall.outbox("a"), "train", b"")


def test_a_second_request_for_a_vector_ends_the_session(hall):
    side = SecureSide(hall.seat)
    _, notices = talk(hall, side, opening(hall))
    first = side.mask(hall.trainers[0], hall.outbox("a"), "train", notices["a"])
    assert first
    with pytest.raises(AggregationError, match="asks to mask, but this platform expects agree"):
        side.mask(hall.trainers[0], hall.outbox("a"), "train", notices["a"])
    with pytest.raises(AggregationError, match="is in no session"):
        side.agree("a", b"")
    assert len(hall.receipts("a")) == 1


def test_a_session_for_an_update_measures_nothing_else(hall):
    side = SecureSide(hall.seat)
    _, notices = talk(hall, side, opening(hall))
    with pytest.raises(AggregationError, match="is to train, the message asks to evaluate"):
        side.mask(hall.trainers[0], hall.outbox("a"), "evaluate", notices["a"])
    assert not (hall.folder / "a.jsonl").exists()


def test_metrics_that_are_not_summed_stay_at_home(hall):
    side = SecureSide(hall.seat)
    _, notices = talk(hall, side, opening(hall))
    side.mask(hall.trainers[0], hall.outbox("a"), "train", notices["a"])
    assert '"metrics": {"loss": 0.25}' in hall.receipts("a")[0]
