"""Our strategy on Flower's Message API: Flower moves the messages, `rounds` decides.

Flower's own strategies and their `start` accept NaN, wrong shapes and stale replies, die of one odd
reply, wait for a quorum without a deadline, and can neither resume nor stop early.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from isthmus.errors import FederationError, MessageRefusedError
from isthmus_server import rounds
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import ServerConfig
from isthmus_server.flower.records import (
    from_arrays,
    metrics_of,
    to_arrays,
    to_content,
    update_of,
    wire_bytes,
)
from isthmus_server.history import Metrics, RoundRecord
from isthmus_server.rounds import Phase, RunState

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clock:
    """Time, as the strategy sees it; a test gives its own."""

    now: Callable[[], float] = time.monotonic  # seconds
    pause: Callable[[float], None] = time.sleep
    poll_s: float = 1.0  # seconds between two looks at who is online


class FederationStrategy(Strategy):
    """Drives a run over a Grid, saves every round, and goes on where the store ends.

    Args:
        config: the run's.
        store: where rounds are kept; its latest round is where `start` begins.
        on_round: called after each round that was saved.
        clock: the real one by default.
    """

    def __init__(
        self,
        config: ServerConfig,
        store: CheckpointStore,
        on_round: Callable[[RoundRecord], None],
        clock: Clock | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._on_round = on_round
        self._clock = clock or Clock()
        self._state: RunState | None = None
        self._names: dict[int, str] = {}  # platform by node
        self._evaluation: dict[str, Metrics] = {}

    @property
    def state(self) -> RunState:
        """The run as it stands.

        Raises:
            FederationError: the run was not started.
        """
        if self._state is None:
            raise FederationError("the run was not started")
        return self._state

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int | None = None,
        timeout: float | None = None,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> Result:
        """Run, or resume, up to the configured number of rounds.

        Args:
            grid: how messages travel.
            initial_arrays: the parameters of round 0.
            num_rounds: unused, like all that follow: the server's configuration says it all.
            timeout: unused.
            train_config: unused.
            evaluate_config: unused.
            evaluate_fn: unused.

        Raises:
            FederationError: a round had too few good updates, or an unused argument was given.
            ResumeError: the store holds a run with another configuration.
        """
        unused = (num_rounds, timeout, train_config, evaluate_config, evaluate_fn)
        if any(value is not None for value in unused):
            raise FederationError("a run takes its settings from the server's configuration only")
        self._begin(initial_arrays)
        while self.state.phase is Phase.IDLE:
            self._run_round(grid)
            self._store.save(self._config, self._initial, self.state)
            self._on_round(self.state.history[-1])
        if self.state.phase is Phase.EVALUATING:
            self._run_evaluation(grid)
            self._store.save(self._config, self._initial, self.state)
        result = Result()
        result.arrays = to_arrays(self.state.parameters)
        return result

    def configure_train(
        self,
        server_round: int,
        arrays: ArrayRecord,
        config: ConfigRecord,  # noqa: ARG002 - the plan says it all
        grid: Grid,  # noqa: ARG002 - the cohort is known by then
    ) -> Iterable[Message]:
        """One message to each platform of the cohort; all share one content."""
        plan = self._config.plan_for(server_round, self.state.clipping_norm)
        return self._messages(MessageType.TRAIN, to_content(arrays, plan), server_round)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Check the replies, average them and move the parameters; the round stays open."""
        for reply in replies:
            self._receive(reply)
        state = rounds.aggregate(self._config, self.state)
        self._state = rounds.optimise(self._config, state)
        _log.debug("round %d is aggregated", server_round)
        return None, None  # `start` commits; nothing is handed out before that

    def configure_evaluate(
        self,
        server_round: int,
        arrays: ArrayRecord,
        config: ConfigRecord,  # noqa: ARG002 - the plan says it all
        grid: Grid,  # noqa: ARG002 - the cohort is known by then
    ) -> Iterable[Message]:
        """One message to each platform of the cohort; all share one content."""
        plan = self._config.plan_for(server_round)
        return self._messages(MessageType.EVALUATE, to_content(arrays, plan), server_round)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Keep each platform's metrics; a bad reply is logged and left out."""
        expected = rounds.fingerprint(self.state)
        for reply in replies:
            sender = self._sender(reply)
            try:
                metrics = metrics_of(reply, self._config.run_id, sender, expected)
            except MessageRefusedError as reason:
                _log.warning("evaluation %d by %s is left out: %s", server_round, sender, reason)
            else:
                self._evaluation[sender] = metrics
        return None

    def summary(self) -> None:
        """Log the configuration."""
        _log.info("run %s: %s", self._config.run_id, self._config.identity())

    def _begin(self, initial_arrays: ArrayRecord) -> None:
        self._initial = from_arrays(initial_arrays)
        self.summary()
        self._state = self._store.latest(self._config, self._initial)
        if self._state is None:
            self._state = rounds.start(self._config, self._initial)
            self._store.save(self._config, self._initial, self._state)

    def _run_round(self, grid: Grid) -> None:
        began = self._clock.now()
        self._names = self._wait_for_quorum(grid)
        number = self.state.round + 1
        self._state = rounds.configure(self._config, self.state, self._names.values())
        arrays = to_arrays(self.state.parameters)
        messages = list(self.configure_train(number, arrays, ConfigRecord(), grid))
        replies = grid.send_and_receive(messages, timeout=self._config.deadline_s)
        self.aggregate_train(number, replies)
        bytes_down = dict.fromkeys(self._names.values(), wire_bytes(messages[0]))
        self._state = rounds.commit(
            self._config, self.state, seconds=self._clock.now() - began, bytes_down=bytes_down
        )

    def _run_evaluation(self, grid: Grid) -> None:
        self._names = self._wait_for_quorum(grid)
        arrays = to_arrays(self.state.parameters)
        messages = self.configure_evaluate(self.state.round, arrays, ConfigRecord(), grid)
        replies = grid.send_and_receive(messages, timeout=self._config.deadline_s)
        self.aggregate_evaluate(self.state.round, replies)
        self._state = rounds.conclude(self.state, self._evaluation)

    def _wait_for_quorum(self, grid: Grid) -> dict[int, str]:
        """Who is online, at the latest when the join deadline has passed; maybe too few."""
        deadline = self._clock.now() + self._config.join_deadline_s
        while True:
            names = {node.node_id: node.name or f"node-{node.node_id}" for node in grid.get_nodes()}
            if len(names) >= self._config.minimum_platforms or self._clock.now() >= deadline:
                return _require_unique(names)
            self._clock.pause(self._clock.poll_s)

    def _messages(self, kind: str, content: RecordDict, number: int) -> list[Message]:
        return [
            Message(content, node, kind, ttl=self._config.deadline_s, group_id=str(number))
            for node in sorted(self._names)
        ]

    def _receive(self, reply: Message) -> None:
        sender, size = self._sender(reply), wire_bytes(reply)
        try:
            update = update_of(reply, self._config.run_id)
        except MessageRefusedError as reason:
            self._state = rounds.refuse(self.state, sender, str(reason), size)
        else:
            self._state = rounds.receive(self.state, sender, update, size)

    def _sender(self, reply: Message) -> str:
        node = reply.metadata.src_node_id
        return self._names.get(node, f"node-{node}")


def _require_unique(names: dict[int, str]) -> dict[int, str]:
    if twice := [name for name, nodes in Counter(names.values()).items() if nodes > 1]:
        raise FederationError(
            f"more than one node is registered as {twice}",
            hint="register each platform once, under its own name",
        )
    return names
