import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from toy_platforms import INITIAL, PLAN, SCORE, server_config

from isthmus.errors import ResumeError
from isthmus.messages import Update
from isthmus.parameters import Shared
from isthmus_server import rounds
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.optimisers import FedAdam, FedAvgM
from isthmus_server.results import read_result
from isthmus_server.rounds import Phase

CONFIG = server_config(rounds=5, optimiser=FedAdam())


def play(config, count, store) -> rounds.RunState:
    """A run of so many rounds, each saved."""
    state = rounds.start(config, INITIAL)
    store.save(config, INITIAL, state)
    for number in range(1, count + 1):
        state = rounds.configure(config, state, ["a"])
        delta = Shared({n: t * 0 + np.float32(0.1) for n, t in INITIAL.tensors.items()})
        base = rounds.fingerprint(state)
        score = {SCORE: 0.1 * min(number, 3)}
        state = rounds.receive(state, "a", Update("a", number, delta, 3, base, score), 9)
        state = rounds.optimise(config, rounds.aggregate(config, state))
        state = rounds.commit(config, state, seconds=0.5, bytes_down={"a": 8})
        store.save(config, INITIAL, state)
    return state


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "rounds")


def test_a_saved_run_comes_back_whole(store):
    state = play(CONFIG, 3, store)
    loaded = store.latest(CONFIG, INITIAL)
    assert loaded.parameters.fingerprint() == state.parameters.fingerprint()
    assert loaded.history == state.history
    assert (loaded.phase, loaded.round, loaded.evaluation) == (Phase.IDLE, 3, {})
    assert {n: s.fingerprint() for n, s in loaded.slots.items()} == {
        n: s.fingerprint() for n, s in state.slots.items()
    }


def test_a_store_without_rounds_is_empty(store):
    assert store.is_empty()
    assert store.latest(CONFIG, INITIAL) is None
    play(CONFIG, 1, store)
    assert not store.is_empty()
    store.clear()
    assert store.is_empty()
    assert not list(store.folder.iterdir())


def test_what_killed_writers_left_is_swept_and_rounds_stay(store):
    play(CONFIG, 2, store)
    before = {path.name for path in store.folder.iterdir()}
    (store.folder / ".round-00003.safetensors.4711.tmp").write_bytes(b"half")
    (store.folder / ".round-00003.json.4712.tmp").write_bytes(b"")
    store.sweep()
    assert {path.name for path in store.folder.iterdir()} == before
    CheckpointStore(store.folder / "none").sweep()


def test_every_rounds_parameters_can_be_had(store):
    state = play(CONFIG, 2, store)
    assert store.parameters(0).fingerprint() == INITIAL.fingerprint()
    assert store.parameters(1).fingerprint() == state.history[0].fingerprint
    with pytest.raises(ResumeError, match="round 7"):
        store.parameters(7)


def damage_json(folder):
    document = json.loads((folder / "round-00002.json").read_text())
    document["checkpoint"]["record"]["seconds"] = 0.0
    (folder / "round-00002.json").write_text(json.dumps(document))


def cut_json(folder):
    path = folder / "round-00002.json"
    path.write_bytes(path.read_bytes()[:100])


def cut_tensors(folder):
    path = folder / "round-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def flip_tensors(folder):
    path = folder / "round-00002.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


def lose_tensors(folder):
    (folder / "round-00002.safetensors").unlink()


@pytest.mark.parametrize("harm", [damage_json, cut_json, cut_tensors, flip_tensors, lose_tensors])
def test_a_damaged_last_round_is_skipped_with_a_warning(store, caplog, harm):
    play(CONFIG, 2, store)
    harm(store.folder)
    with caplog.at_level(logging.WARNING):
        assert store.latest(CONFIG, INITIAL).round == 1
    assert "round-00002" in caplog.text


def test_a_damaged_record_in_the_middle_sends_the_run_back_before_it(store, caplog):
    play(CONFIG, 4, store)
    cut_json(store.folder)
    with caplog.at_level(logging.WARNING):
        assert store.latest(CONFIG, INITIAL).round == 1
    assert "skipped" in caplog.text


def test_a_missing_record_in_the_middle_sends_the_run_back_before_it(store):
    play(CONFIG, 4, store)
    (store.folder / "round-00003.json").unlink()
    assert store.latest(CONFIG, INITIAL).round == 2


def test_tensors_without_a_record_do_not_count(store):
    play(CONFIG, 2, store)
    (store.folder / "round-00002.json").unlink()
    assert store.latest(CONFIG, INITIAL).round == 1


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(CONFIG, seed=8), "plan.seed was 7, now 8"),
        (replace(CONFIG, plan=replace(PLAN, batch_size=3)), "plan.batch_size was 128, now 3"),
        (replace(CONFIG, optimiser=FedAvgM()), "optimiser.name was fedadam, now fedavgm"),
    ],
)
def test_another_configuration_is_refused_and_named(store, other, words):
    play(CONFIG, 1, store)
    with pytest.raises(ResumeError, match=words):
        store.latest(other, INITIAL)


def test_other_initial_parameters_are_refused(store):
    play(CONFIG, 1, store)
    with pytest.raises(ResumeError, match="initial parameters"):
        store.latest(CONFIG, Shared({n: t + 1 for n, t in INITIAL.tensors.items()}))


def test_a_finished_run_stays_finished_and_a_longer_one_goes_on(store):
    config = replace(CONFIG, rounds=2)
    done = rounds.conclude(play(config, 2, store), {"a": {SCORE: 0.9}})
    store.save(config, INITIAL, done)
    assert store.latest(config, INITIAL).phase is Phase.DONE
    longer = store.latest(replace(config, rounds=3), INITIAL)
    assert (longer.phase, longer.evaluation) == (Phase.IDLE, {})


def test_the_result_names_the_best_round_and_holds_its_parameters(store):
    config = replace(CONFIG, rounds=4)
    done = rounds.conclude(play(config, 4, store), {"a": {SCORE: 0.05}})
    store.save(config, INITIAL, done)
    result = read_result(config, INITIAL, store)
    assert result.best_round == 2
    assert result.best.fingerprint() == result.rounds[1].fingerprint
    assert result.final.fingerprint() == result.rounds[3].fingerprint
    assert [scores["a"] for scores in result.validation] == pytest.approx(
        [0.1, 0.2, 0.3, 0.3, 0.05]
    )


def test_a_flipped_bit_in_the_best_round_is_reported_and_can_be_healed(store):
    config = replace(CONFIG, rounds=4)
    done = rounds.conclude(play(config, 4, store), {"a": {SCORE: 0.05}})
    store.save(config, INITIAL, done)
    flip_tensors(store.folder)
    with pytest.raises(ResumeError, match="round 2") as caught:
        read_result(config, INITIAL, store)
    assert f"delete {store.folder / 'round-00002.json'}" in caught.value.hint
    (store.folder / "round-00002.json").unlink()
    assert store.latest(config, INITIAL).round == 1


def test_lost_tensors_in_the_middle_send_the_run_back_before_them(store):
    play(CONFIG, 4, store)
    lose_tensors(store.folder)
    assert store.latest(CONFIG, INITIAL).round == 1


def test_an_empty_store_has_no_result(store):
    with pytest.raises(ResumeError, match="no run"):
        read_result(CONFIG, INITIAL, store)
