"""The server's Flower app: one run of the federation."""

from __future__ import annotations

from collections.abc import Callable

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from isthmus.parameters import Shared
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import ServerConfig
from isthmus_server.flower.records import to_arrays
from isthmus_server.flower.strategy import FederationStrategy
from isthmus_server.history import RoundRecord


def build_server_app(
    config: ServerConfig,
    initial: Shared,
    store: CheckpointStore,
    on_round: Callable[[RoundRecord], None],
) -> ServerApp:
    """A Flower app that runs, or resumes, the configured run; `results.read_result` has its result.

    Args:
        config: the run's.
        initial: the parameters of round 0.
        store: where every round is kept.
        on_round: called after each round that was saved.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:  # noqa: ARG001 - Flower's signature
        FederationStrategy(config, store, on_round).start(grid, to_arrays(initial))

    return app
