"""However often a run is interrupted, and wherever: it ends as if it never was."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from toy_platforms import INITIAL, server_config, toys

from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.optimisers import FedAdam, FedAvg, FedAvgM
from isthmus_simulations.engines.platforms import FolderOutboxes
from isthmus_simulations.engines.runner import run_federation


class StoppedError(Exception):
    """Stands for whatever stops a run."""


def play(folder, config, *, stop_after=None):
    def on_round(record):
        if record.round == stop_after:
            raise StoppedError

    return run_federation(
        "memory",
        server_config=config,
        initial=INITIAL,
        store=CheckpointStore(folder / "rounds"),
        outboxes=FolderOutboxes(folder / "receipts"),
        trainers=toys("a", "b"),
        on_round=on_round,
        resume=True,
    )


def damage(folder, number, suffix):
    path = folder / "rounds" / f"round-{number:05d}.{suffix}"
    if path.exists():
        path.write_bytes(path.read_bytes()[:-7])


@settings(max_examples=15, deadline=None)
@given(
    optimiser=st.sampled_from([FedAvg(), FedAvgM(), FedAdam()]),
    patience=st.integers(0, 2),
    rounds=st.integers(1, 5),
    stops=st.lists(st.integers(1, 5), max_size=3),
    harm=st.none() | st.tuples(st.integers(0, 5), st.sampled_from(["json", "safetensors"])),
)
def test_interruptions_and_damage_leave_no_trace(optimiser, patience, rounds, stops, harm):
    config = server_config(rounds=rounds, optimiser=optimiser, patience=patience)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        straight = play(Path(one), config)
        for stop in stops:
            try:
                play(Path(two), config, stop_after=stop)
            except StoppedError:
                continue
        if harm:
            damage(Path(two), *harm)
        resumed = play(Path(two), config)
    assert resumed.final.fingerprint() == straight.final.fingerprint()
    assert resumed.best.fingerprint() == straight.best.fingerprint()
    assert resumed.best_round == straight.best_round
    assert resumed.validation == straight.validation
    assert [r.platforms for r in resumed.rounds] == [r.platforms for r in straight.rounds]
