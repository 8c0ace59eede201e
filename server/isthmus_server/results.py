"""What a run ended with, read from its store."""

from __future__ import annotations

from isthmus.errors import ResumeError
from isthmus.parameters import Shared
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import ServerConfig
from isthmus_server.history import RunResult, best_round, validation


def read_result(config: ServerConfig, initial: Shared, store: CheckpointStore) -> RunResult:
    """The result of the run in the store, as far as it went.

    Raises:
        ResumeError: the store is empty, damaged, or holds another configuration.
    """
    state = store.latest(config, initial)
    if state is None:
        raise ResumeError(f"there is no run in {store.folder}")
    scores = validation(state.history, state.evaluation, config.score)
    best = best_round(scores)
    return RunResult(
        final=state.parameters,
        best=state.parameters if best == state.round else store.parameters(best),
        best_round=best,
        rounds=state.history,
        validation=scores,
        clipping_norm=state.clipping_norm,
    )
