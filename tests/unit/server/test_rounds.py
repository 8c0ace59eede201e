from dataclasses import replace

import numpy as np
import pytest
from toy_platforms import INITIAL, PLAN, SCORE, server_config

from isthmus.errors import FederationError, MessageRefusedError
from isthmus.messages import Update
from isthmus.parameters import GridSum, Shared
from isthmus.secure_sums import Summed
from isthmus_server import rounds
from isthmus_server.aggregate import Combined
from isthmus_server.history import SumRecord
from isthmus_server.optimisers import FedAvg, FedAvgM
from isthmus_server.robust import Median
from isthmus_server.rounds import Phase

CONFIG = server_config(rounds=2)
BASE = INITIAL.fingerprint()
DELTA = Shared({n: np.full(t.shape, 0.5, np.float32) for n, t in INITIAL.tensors.items()})


def update(platform="a", **changes) -> Update:
    good = Update(platform, 1, DELTA, 10, BASE, {"loss": 0.5, SCORE: 0.1})
    return replace(good, **changes)


def collecting(cohort=("a", "b"), config=CONFIG):
    return rounds.configure(config, rounds.start(config, INITIAL), cohort)


def committed(state, config=CONFIG):
    moved = rounds.optimise(config, rounds.aggregate(config, state))
    return rounds.commit(config, moved, seconds=2.5, bytes_down={"a": 70, "b": 71})


def test_a_round_from_configure_to_commit():
    state = collecting()
    state = rounds.receive(state, "a", update("a", users=30), 400)
    state = rounds.receive(state, "b", update("b", users=10, delta=INITIAL), 410)
    state = committed(state)
    assert (state.phase, state.round) == (Phase.IDLE, 1)
    assert state.parameters.tensors["encoder/w"][0, 0] == np.float32(0.375)
    (record,) = state.history
    assert list(record.platforms) == ["a", "b"]
    assert record.platforms["a"].users == 30
    assert (record.platforms["b"].bytes_down, record.platforms["b"].bytes_up) == (71, 410)
    assert record.platforms["a"].update_norm == pytest.approx(0.5 * np.sqrt(19))
    assert (record.seconds, record.missing, record.refused) == (2.5, (), ())
    assert record.fingerprint == state.parameters.fingerprint()


def test_the_configured_rule_combines_and_the_record_tells_the_shares():
    config = server_config(rounds=2, aggregation=Median())
    state = collecting(config=config, cohort=("a", "b", "c"))
    for name, factor in (("a", 1.0), ("b", 3.0), ("c", -500.0)):
        delta = Shared({n: t * np.float32(factor) for n, t in DELTA.tensors.items()})
        state = rounds.receive(state, name, update(name, delta=delta), 1)
    state = committed(state, config)
    assert state.parameters.tensors["encoder/w"][0, 0] == np.float32(0.5)
    shares = {name: part.share for name, part in state.history[0].platforms.items()}
    assert shares == pytest.approx(dict.fromkeys("abc", 1 / 3))


def test_the_run_ends_with_an_evaluation():
    config = server_config(rounds=1)
    state = committed(rounds.receive(collecting(config=config), "a", update(), 1), config)
    assert state.phase is Phase.EVALUATING
    done = rounds.conclude(state, {"a": {SCORE: 0.2}})
    assert (done.phase, done.evaluation) == (Phase.DONE, {"a": {SCORE: 0.2}})


def test_without_validation_it_just_ends():
    config = server_config(rounds=1, plan=replace(PLAN, validate=False))
    state = committed(rounds.receive(collecting(config=config), "a", update(), 1), config)
    assert state.phase is Phase.DONE


def test_no_rounds_evaluate_the_initial_parameters():
    assert rounds.start(server_config(rounds=0), INITIAL).phase is Phase.EVALUATING


def test_a_run_stops_early_when_the_score_stays_below_its_best():
    config = server_config(rounds=9, patience=1)
    state = rounds.start(config, INITIAL)
    for number, score in enumerate([0.3, 0.2, 0.1], start=1):
        state = rounds.configure(config, state, ["a"])
        reply = update(round=number, base=rounds.fingerprint(state), metrics={SCORE: score})
        state = committed(rounds.receive(state, "a", reply, 1), config)
        if state.phase is not Phase.IDLE:
            break
    assert (state.round, state.phase) == (2, Phase.EVALUATING)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (update("b"), "in the name of 'b'"),
        (update(round=2), "stale: round 2, expected 1"),
        (update(base="0" * 64), "other parameters"),
        (update(users=-1), "users is -1"),
        (update(users=2.0), "users is 2.0"),
        (update(users=True), "users is True"),
        (update(delta=Shared({"encoder/w": DELTA.tensors["encoder/w"]})), "encoder/b"),
        (update(delta=Shared({**DELTA.tensors, "x": np.zeros(1, np.float32)})), "'x'"),
        (update(delta=Shared({n: t[:1] for n, t in DELTA.tensors.items()})), "shape"),
        (
            update(delta=Shared({n: t * np.float32(np.nan) for n, t in DELTA.tensors.items()})),
            "NaN",
        ),
        (
            update(delta=Shared({n: np.full_like(t, 1e30) for n, t in DELTA.tensors.items()})),
            "norm is",
        ),
        (update(metrics={"loss": float("inf")}), "loss"),
    ],
)
def test_a_bad_reply_is_recorded_and_changes_nothing(bad, words):
    state = rounds.receive(collecting(), "a", bad, 33)
    assert not state.open.accepted
    ((sender, reason, size),) = state.open.refused
    assert (sender, size) == ("a", 33)
    assert words in reason
    good = committed(rounds.receive(state, "b", update("b"), 1))
    assert good.history[0].refused[0].reason == reason


def test_a_reason_is_short_and_holds_nothing_that_a_terminal_obeys():
    said = "client error: \x1b[2J\r\nall is well\u202e" + "x" * 1000
    ((_, reason, _),) = rounds.refuse(collecting(), "a", said).open.refused
    assert reason.startswith("client error: ?[2J??all is well?xxx")
    assert len(reason) == rounds.MAX_REASON


def test_a_platform_without_users_is_accepted_and_counts_nothing():
    state = rounds.receive(collecting(), "a", update("a", users=7), 1)
    state = rounds.receive(state, "b", update("b", users=0, delta=INITIAL), 1)
    state = committed(state)
    alone = committed(rounds.receive(collecting(), "a", update("a", users=7), 1))
    assert state.parameters.fingerprint() == alone.parameters.fingerprint()
    shares = {name: part.share for name, part in state.history[0].platforms.items()}
    assert shares == {"a": 1.0, "b": 0.0}


def test_where_nobody_has_users_the_parameters_and_the_memory_stay():
    """A momentum of earlier rounds moves nothing in a round in which nobody trained."""
    config = server_config(rounds=3, optimiser=FedAvgM())
    state = rounds.receive(collecting(("a",), config), "a", update("a"), 1)
    first = committed(state, config)
    state = rounds.configure(config, first, ["a"])
    nobody = update(round=2, base=rounds.fingerprint(state), users=0)
    second = committed(rounds.receive(state, "a", nobody, 1), config)
    assert second.round == 2
    assert second.parameters.fingerprint() == first.parameters.fingerprint()
    assert {n: s.fingerprint() for n, s in second.slots.items()} == {
        n: s.fingerprint() for n, s in first.slots.items()
    }


def test_a_second_reply_is_refused_and_the_first_stays():
    state = rounds.receive(collecting(), "a", update(users=10), 1)
    state = rounds.receive(state, "a", update(users=99), 1)
    assert state.open.accepted["a"][0].users == 10
    assert "already answered" in state.open.refused[0][1]


def test_a_stranger_is_refused():
    state = rounds.receive(collecting(), "z", update("z"), 1)
    assert "cohort" in state.open.refused[0][1]


def test_a_long_reason_is_cut():
    state = rounds.refuse(collecting(), "a", "x" * 5000)
    assert len(state.open.refused[0][1]) == rounds.MAX_REASON


def test_silent_platforms_are_named():
    state = committed(rounds.receive(collecting(("a", "b", "c")), "a", update(), 1))
    assert state.history[0].missing == ("b", "c")


def test_too_few_good_updates_fail_with_every_reason():
    config = server_config(minimum_platforms=2)
    state = rounds.receive(collecting(config=config), "a", update(), 1)
    state = rounds.refuse(state, "b", "client error 1001: ValueError")
    with pytest.raises(FederationError, match=r"round 1: 1 platforms .*b: client error 1001"):
        rounds.aggregate(config, state)


def test_too_few_platforms_online_fail():
    config = server_config(minimum_platforms=3)
    with pytest.raises(FederationError, match="2 platforms are online, the minimum is 3"):
        collecting(config=config)


def test_parameters_that_overflow_are_not_committed():
    config = replace(CONFIG, optimiser=FedAvg(learning_rate=3e38))
    state = rounds.aggregate(config, rounds.receive(collecting(config=config), "a", update(), 1))
    mean = Shared({name: tensor + 9 for name, tensor in DELTA.tensors.items()})
    huge = replace(state, open=replace(state.open, combined=Combined(mean, {"a": 1.0})))
    with (
        pytest.raises(FederationError, match="left the finite numbers"),
        np.errstate(over="ignore"),
    ):
        rounds.optimise(config, huge)


def test_steps_out_of_order_fail_loudly():
    idle = rounds.start(CONFIG, INITIAL)
    open_round = rounds.receive(collecting(), "a", update(), 1)
    averaged = rounds.aggregate(CONFIG, open_round)
    wrong = [
        lambda: rounds.receive(idle, "a", update(), 1),
        lambda: rounds.refuse(averaged, "a", "late"),
        lambda: rounds.configure(CONFIG, open_round, ["a"]),
        lambda: rounds.aggregate(CONFIG, averaged),
        lambda: rounds.optimise(CONFIG, open_round),
        lambda: rounds.commit(CONFIG, averaged, seconds=0.0, bytes_down={}),
        lambda: rounds.conclude(idle, {}),
    ]
    for step in wrong:
        with pytest.raises(FederationError, match="this step needs it"):
            step()


def test_states_are_values_and_an_old_one_can_be_tried_again():
    before = collecting()
    once = committed(rounds.receive(before, "a", update(), 1))
    again = committed(rounds.receive(before, "a", update(), 1))
    assert before.open.accepted == {}
    assert once.parameters.fingerprint() == again.parameters.fingerprint()


SUM = SumRecord(users=40, metrics={SCORE: 0.3}, attempt=9)


def summed(**changes):
    return replace(Summed(DELTA, 40, 40.0, {SCORE: 0.3}), **changes)


def test_a_sum_stands_in_for_updates_that_nobody_sees():
    state = rounds.refuse(collecting(("a", "b", "c")), "c", "keys: replay", 7)
    state = rounds.take_sum(CONFIG, state, summed(), counted={"a": 50, "b": 51}, record=SUM)
    state = rounds.commit(
        CONFIG, rounds.optimise(CONFIG, state), seconds=1.0, bytes_down={"a": 70, "b": 71, "c": 72}
    )
    assert state.parameters.tensors["encoder/w"][0, 0] == np.float32(0.5)
    (record,) = state.history
    assert record.sum == SUM
    assert [(p.users, p.share, p.bytes_up) for p in record.platforms.values()] == [
        (0, None, 50),
        (0, None, 51),
    ]
    assert record.bytes_total() == 70 + 71 + 72 + 50 + 51 + 7


def test_a_sum_over_nobodys_users_moves_nothing():
    nothing = summed(delta=Shared({n: t * 0 for n, t in DELTA.tensors.items()}), users=0, weight=0)
    state = rounds.take_sum(CONFIG, collecting(), nothing, counted={"a": 1}, record=SUM)
    assert rounds.optimise(CONFIG, state).open.moved[0] is INITIAL


def test_a_sum_needs_its_quorum_its_shapes_and_a_round_that_collects():
    config = server_config(rounds=2, minimum_platforms=2)
    with pytest.raises(FederationError, match="1 platforms are in the sum, the minimum is 2"):
        rounds.take_sum(config, collecting(config=config), summed(), counted={"a": 1}, record=SUM)
    odd = summed(delta=Shared({"x": np.zeros(1, np.float32)}))
    with pytest.raises(MessageRefusedError, match="encoder/b"):
        rounds.take_sum(CONFIG, collecting(), odd, counted={"a": 1}, record=SUM)
    idle = rounds.start(CONFIG, INITIAL)
    with pytest.raises(FederationError, match="needs it collecting"):
        rounds.take_sum(CONFIG, idle, summed(), counted={"a": 1}, record=SUM)
    grid = summed(delta=GridSum({n: t.astype(np.int64) for n, t in DELTA.tensors.items()}))
    with pytest.raises(FederationError, match="cannot read a sum on the grid"):
        rounds.take_sum(CONFIG, collecting(), grid, counted={"a": 1}, record=SUM)
