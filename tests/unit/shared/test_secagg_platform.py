"""What a platform refuses from a server that lies, or from another platform."""

import base64
import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
from secagg_cases import MODEL, PHASES, Case, play

from isthmus.errors import AggregationError
from isthmus.secagg import Conversation, opened, platform
from isthmus.secagg.bodies import Advert, Bundle, Sealed, Survivors
from isthmus.secagg.keys import Secret
from isthmus.secagg.messages import Kind, Notice, Signed, signed

CASE = Case(4)
ME, OTHER = "p0", "p2"
ANSWERS = dict(
    zip((Kind.ROSTER, Kind.DELIVERY, Kind.SURVIVORS, Kind.UNMASK), PHASES[1:], strict=True)
)


def altered(kind, receiver, edit):
    """Changes the body of what the server sends to one platform."""

    def alter(_phase, name, data):
        notice = Notice.from_bytes(data)
        if name != receiver or notice.kind is not kind:
            return data
        return replace(notice, body=edit(bytes(notice.body))).to_bytes()

    return alter


def first_alarm(kind, edit, **drops):
    played = play(CASE, CASE.vectors(), drops, down=altered(kind, ME, edit))
    assert played.alarms, "the lie was believed"
    name, alarm = played.alarms[0]
    assert name == ME
    assert (ANSWERS[kind], ME) not in played.sent
    return alarm


def with_message(change):
    """Changes one platform's message in a bundle."""

    def edit(body):
        messages = Bundle.from_bytes(body).messages
        changed = [change(m) if m.sender == OTHER else m for m in messages]
        return Bundle(tuple(m for m in changed if m)).to_bytes()

    return edit


def re_signed(message, key, **changes):
    """The message with other contents, under any key."""
    new = replace(message, **changes)
    return signed(new.kind, new.context, new.seen, new.sender, new.body, key)


def other_advert(key, **changes):
    def change(message):
        advert = replace(Advert.from_bytes(message.body), **changes)
        return re_signed(message, key, body=advert.to_bytes())

    return with_message(change)


def test_a_key_that_the_server_swapped_is_refused():
    """The server's own key in the place of a platform's, signed with whatever it has."""
    wrong = CASE.keys["p1"]
    assert first_alarm(Kind.ROSTER, other_advert(wrong, masking=bytes([9] * 32))) == "bad_signature"


def test_a_swapped_key_of_ones_own_is_refused():
    def change(body):
        messages = Bundle.from_bytes(body).messages
        mine = replace(Advert.from_bytes(messages[0].body), sealing=bytes([9] * 32))
        new = re_signed(messages[0], CASE.keys["p1"], body=mine.to_bytes())
        return Bundle((new, *messages[1:])).to_bytes()

    assert first_alarm(Kind.ROSTER, change) == "swapped_key"
    left_out = first_alarm(
        Kind.ROSTER, lambda body: Bundle(Bundle.from_bytes(body).messages[1:]).to_bytes()
    )
    assert left_out == "swapped_key"


def test_a_platform_with_anothers_key_is_refused():
    def change(body):
        p1 = Advert.from_bytes(Bundle.from_bytes(body).messages[1].body)
        return other_advert(CASE.keys[OTHER], masking=p1.masking)(body)

    assert first_alarm(Kind.ROSTER, change) == "swapped_key"


def test_a_key_of_low_order_is_refused():
    edit = other_advert(CASE.keys[OTHER], sealing=bytes(32))
    assert first_alarm(Kind.ROSTER, edit) == "bad_key"


def test_a_second_model_is_found_out_by_everybody():
    """The server sent another model to one platform, which signs what it got."""
    model = bytes(32)
    victim = Conversation(CASE.site(OTHER), CASE.terms, model)
    edit = with_message(lambda _: Signed.from_bytes(victim.opening))
    assert first_alarm(Kind.ROSTER, edit) == "model_differs"
    phase = opened(CASE.terms, MODEL)
    for name, talk in CASE.talks().items():
        if name != OTHER:
            phase = phase.receive(talk.opening)
    bundle = Bundle((*[phase.got[n] for n in ("p0", "p1")], Signed.from_bytes(victim.opening)))
    notice = Notice(Kind.ROSTER, CASE.terms.context, CASE.terms.context, bundle.to_bytes())
    with pytest.raises(AggregationError, match="two models") as caught:
        victim.share(notice.to_bytes())
    assert caught.value.alarm == "model_differs"


@pytest.mark.parametrize("change", [{"round": 4}, {"attempt": 2}, {"run": "autumn"}, {"length": 8}])
def test_an_advert_of_another_round_is_refused(change):
    old = Conversation(CASE.site(OTHER), replace(CASE.terms, **change), MODEL).opening
    assert first_alarm(Kind.ROSTER, with_message(lambda _: Signed.from_bytes(old))) == "replay"


def test_a_notice_of_another_round_is_refused():
    kept = {}

    def keep(phase, name, data):
        kept[phase, name] = data
        return data

    play(CASE, CASE.vectors(), down=keep)
    later = replace(CASE, round=6)
    for phase in ("shares", "vector", "agreement", "reveal"):
        played = play(
            later, CASE.vectors(), down=lambda p, n, d, w=phase: kept[w, n] if p == w else d
        )
        assert {alarm for _, alarm in played.alarms} == {"replay"}
        assert played.total is None


def test_a_notice_of_another_phase_or_history_is_refused():
    seen = {}

    def late(phase, name, data):
        seen.setdefault(phase, data)
        return seen["vector"] if (phase, name) == ("agreement", ME) else data

    assert play(CASE, CASE.vectors(), down=late).alarms[0] == (ME, "order")

    def history(phase, name, data):
        changed = replace(Notice.from_bytes(data), seen=bytes(32)).to_bytes()
        return changed if (phase, name) == ("vector", ME) else data

    assert play(CASE, CASE.vectors(), down=history).alarms[0] == (ME, "view_differs")


def test_a_share_that_was_altered_or_is_anothers_is_refused():
    def flipped(body):
        parts = list(Sealed.from_bytes(body).parts)
        name, part = parts[1]
        parts[1] = (name, part[:-1] + bytes([part[-1] ^ 1]))
        return Sealed(tuple(parts)).to_bytes()

    def exchanged(body):
        (one, first), (two, second), *more = Sealed.from_bytes(body).parts
        return Sealed(((one, second), (two, first), *more)).to_bytes()

    assert first_alarm(Kind.DELIVERY, flipped) == "bad_share"
    assert first_alarm(Kind.DELIVERY, exchanged) == "bad_share"


def test_shares_in_a_strangers_name_are_refused():
    def renamed(body):
        *parts, (_, last) = Sealed.from_bytes(body).parts
        return Sealed((*parts, ("p9", last))).to_bytes()

    def mine(body):
        parts = dict(Sealed.from_bytes(body).parts)
        return Sealed(tuple(sorted({**parts, ME: parts["p1"]}.items()))).to_bytes()

    assert first_alarm(Kind.DELIVERY, renamed) == "unknown_sender"
    assert first_alarm(Kind.DELIVERY, mine) == "unknown_sender"


def test_a_message_twice_in_a_bundle_is_refused():
    def twice(body):
        messages = Bundle.from_bytes(body).messages
        return Bundle((messages[0], *messages)).to_bytes()

    assert first_alarm(Kind.ROSTER, twice) == "duplicate"
    assert first_alarm(Kind.UNMASK, twice) == "duplicate"


@pytest.mark.parametrize("kind", [Kind.ROSTER, Kind.DELIVERY, Kind.UNMASK])
def test_too_few_are_refused_whatever_the_server_says(kind):
    def cut(body):
        if kind is Kind.DELIVERY:
            return Sealed(Sealed.from_bytes(body).parts[:1]).to_bytes()
        return Bundle(Bundle.from_bytes(body).messages[:2]).to_bytes()

    assert first_alarm(kind, cut) == "too_few"


def test_the_server_cannot_have_both_shares_of_a_platform():
    def both(body):
        told = Survivors.from_bytes(body)
        return Survivors(told.present, (OTHER,)).to_bytes()

    assert first_alarm(Kind.SURVIVORS, both) == "both_shares"


@pytest.mark.parametrize(
    ("present", "dropped", "alarm"),
    [
        (("p0", "p1", "p2"), (), "unknown_sender"),
        (("p0", "p1", "p2", "p3", "p4"), (), "unknown_sender"),
        (("p1", "p2", "p3"), ("p0",), "survivors_differ"),
        (("p0", "p1"), ("p2", "p3"), "too_few"),
        (("p0", "p1", "p1"), ("p2", "p3"), "duplicate"),
    ],
)
def test_lists_of_survivors_that_cannot_be(present, dropped, alarm):
    edit = lambda _: Survivors(present, dropped).to_bytes()  # noqa: E731
    assert first_alarm(Kind.SURVIVORS, edit) == alarm


def to_agreement():
    """The four platforms, and the notice of survivors that the server made for all of them."""
    talks, phase = CASE.talks(), opened(CASE.terms, MODEL)
    for talk in talks.values():
        phase = phase.receive(talk.opening)
    phase, notices = phase.close()
    for name, talk in talks.items():
        phase = phase.receive(talk.share(notices[name]))
    phase, notices = phase.close()
    vectors = CASE.vectors()
    for name, talk in talks.items():
        phase = phase.receive(talk.mask(notices[name], vectors[name]))
    return talks, phase.close()[1]["p0"]


def test_platforms_that_were_told_different_survivors_reveal_nothing():
    """Seeds from one half and mask keys from the other would bare p3's vector."""
    talks, notice = to_agreement()
    honest = Notice.from_bytes(notice)
    lie = replace(honest, body=Survivors(("p0", "p1", "p2"), ("p3",)).to_bytes()).to_bytes()
    told = {"p0": notice, "p1": notice, "p2": lie, "p3": notice}
    signed_lists = {n: Signed.from_bytes(talk.agree(told[n])) for n, talk in talks.items()}
    everybody = Bundle(tuple(signed_lists.values())).to_bytes()
    for name, talk in talks.items():
        unmask = replace(
            honest, kind=Kind.UNMASK, seen=signed_lists[name].seen, body=everybody
        ).to_bytes()
        with pytest.raises(AggregationError) as caught:
            talk.reveal(unmask)
        assert caught.value.alarm == "survivors_differ"


def test_nobody_signs_a_second_list_of_survivors():
    talks, notice = to_agreement()
    talks[ME].agree(notice)
    with pytest.raises(AggregationError) as caught:
        talks[ME].agree(notice)
    assert caught.value.alarm == "order"


def test_after_a_refusal_there_is_no_answer_any_more():
    talks, notice = to_agreement()
    with pytest.raises(AggregationError):
        talks[ME].agree(notice[:-1])
    with pytest.raises(AggregationError) as caught:
        talks[ME].agree(notice)
    assert caught.value.alarm == "order"


@pytest.mark.parametrize(
    ("vector", "told"),
    [
        (np.zeros(6, np.uint64), "shape"),
        (np.zeros((7, 1), np.uint64), "shape"),
        (np.zeros(7, np.uint32), "uint32"),
        (np.zeros(7), "float64"),
    ],
)
def test_a_vector_of_another_length_or_type_is_refused(vector, told):
    talks, phase = CASE.talks(), opened(CASE.terms, MODEL)
    for talk in talks.values():
        phase = phase.receive(talk.opening)
    phase, notices = phase.close()
    answers = {name: talk.share(notices[name]) for name, talk in talks.items()}
    for answer in answers.values():
        phase = phase.receive(answer)
    with pytest.raises(AggregationError, match=told) as caught:
        talks[ME].mask(phase.close()[1][ME], vector)
    assert caught.value.alarm == "bad_vector"


SECRET_TEXTS = (bytes.hex, repr, str, lambda value: base64.b64encode(value).decode()[:-1])


def test_no_secret_is_in_any_text_or_message(monkeypatch, caplog):
    """Every secret that there was, in every form, in every repr, refusal and message."""
    made, plain = set(), Secret.__init__

    def recording(self, value):
        made.add(bytes(value))
        plain(self, value)

    monkeypatch.setattr(Secret, "__init__", recording)
    wrong = altered(Kind.SURVIVORS, "p3", lambda body: body[:-1])
    played = play(CASE, CASE.vectors(), {"p1": "vector"}, down=wrong)
    bad = play(CASE, CASE.vectors(), down=altered(Kind.DELIVERY, ME, lambda b: b[:-1] + b"x"))
    assert len(made) > 60
    assert len(played.texts + bad.texts) > 20
    text = "\n".join([*played.texts, *bad.texts, caplog.text])
    assert not [value for value in made for form in SECRET_TEXTS if form(value) in text]
    assert not [value for value in made for message in played.sent.values() if value in message]


def test_no_state_is_copied_or_written():
    state, _ = platform.advertise(CASE.site(ME), CASE.terms, MODEL)
    for write in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            write(state.round.masking)
        with pytest.raises(TypeError):
            write(state)
