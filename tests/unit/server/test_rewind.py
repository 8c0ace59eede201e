"""Going back leaves the rounds up to the one named, whole."""

import numpy as np
from toy_platforms import INITIAL, server_config

from isthmus.parameters import Shared
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.coordinator.rewind import rewind
from isthmus_server.history import RoundRecord
from isthmus_server.rounds import Phase, RunState


def saved(folder, rounds):
    store, config, history = CheckpointStore(folder), server_config(rounds=9), ()
    for number in range(rounds + 1):
        value = Shared({n: t + np.float32(number) for n, t in INITIAL.tensors.items()})
        if number:
            history += (RoundRecord(number, {}, (), (), 0.5, value.fingerprint()),)
        store.save(config, INITIAL, RunState(Phase.IDLE, number, value, {}, history))
    return store, config


def test_later_rounds_are_gone_and_the_named_one_is_the_latest(tmp_path):
    store, config = saved(tmp_path, 5)
    kept = store.parameters(2).fingerprint()
    assert rewind(tmp_path, 2) == (3, 4, 5)
    assert store.latest(config, INITIAL).round == 2
    assert store.latest(config, INITIAL).parameters.fingerprint() == kept
    assert sorted(path.name[:11] for path in tmp_path.iterdir()) == [
        f"round-{number:05d}" for number in (0, 0, 1, 1, 2, 2)
    ]


def test_tensors_without_their_record_go_too(tmp_path):
    saved(tmp_path, 3)
    (tmp_path / "round-00003.json").unlink()  # killed in the middle of going back
    assert rewind(tmp_path, 2) == (3,)
    assert rewind(tmp_path, 2) == ()
    assert rewind(tmp_path / "nowhere", 0) == ()
