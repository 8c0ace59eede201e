"""Our strategy on Flower's Message API: Flower moves the messages, `rounds` decides.

Flower's own strategies and their `start` accept NaN, wrong shapes and stale replies, die of one odd
reply, wait for a quorum without a deadline, and can neither resume nor stop early.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from isthmus.errors import FederationError, MessageRefusedError
from isthmus_server import rounds
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.config import ServerConfig
from isthmus_server.flower.exchange import Clock, Exchange
from isthmus_server.flower.records import (
    from_arrays,
    metrics_of,
    to_arrays,
    to_content,
    update_of,
    wire_bytes,
)
from isthmus_server.flower.secure import Attempts, Sessions, Tell
from isthmus_server.history import EVERYBODY, Metrics, RoundRecord
from isthmus_server.rounds import Phase, RunState

_log = logging.getLogger(__name__)


class FederationStrategy(Strategy):
    """Drives a run over a Grid, saves every round, and goes on where the store ends.

    Args:
        config: the run's.
        store: where rounds are kept; its latest round is where `start` begins.
        on_round: called after each round that was saved.
        clock: the real one by default.
        interrupt: asked between rounds, phases and looks for replies; a reason to leave the run
            where its last round was saved, or "".
        tell: told what is waited for, and for whom.
        attempts: numbers of sessions of secure aggregation, which go up over restarts.
    """

    def __init__(
        self,
        config: ServerConfig,
        store: CheckpointStore,
        on_round: Callable[[RoundRecord], None],
        clock: Clock | None = None,
        *,
        interrupt: Callable[[], str] = lambda: "",
        tell: Tell = lambda _: None,
        attempts: Callable[[], int] | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._on_round = on_round
        self._clock = clock or Clock()
        self._interrupt, self._tell = interrupt, tell
        self._attempts = attempts or Attempts()
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
            InterruptedWaitError: somebody wants something else; all saved rounds stay good.
            ResumeError: the store holds a run with another configuration.
        """
        unused = (num_rounds, timeout, train_config, evaluate_config, evaluate_fn)
        if any(value is not None for value in unused):
            raise FederationError("a run takes its settings from the server's configuration only")
        self._begin(initial_arrays)
        exchange = Exchange(grid, self._clock, self._interrupt)
        while self.state.phase is Phase.IDLE:
            exchange.check()
            self._run_round(exchange)
            self._store.save(self._config, self._initial, self.state)
            self._on_round(self.state.history[-1])
        if self.state.phase is Phase.EVALUATING:
            self._run_evaluation(exchange)
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
        self._store.sweep()
        self._state = self._store.latest(self._config, self._initial)
        if self._state is None:
            self._state = rounds.start(self._config, self._initial)
            self._store.save(self._config, self._initial, self._state)

    def _run_round(self, exchange: Exchange) -> None:
        began = self._clock.now()
        self._names = self._wait_for_quorum(exchange)
        self._state = rounds.configure(self._config, self.state, self._names.values())
        down = self._summed(exchange) if self._config.secure else self._collected(exchange)
        self._state = rounds.commit(
            self._config, self.state, seconds=self._clock.now() - began, bytes_down=down
        )

    def _collected(self, exchange: Exchange) -> dict[str, int]:
        """Make one update of the platforms' own; bytes of the message to each."""
        number = self.state.round + 1
        arrays = to_arrays(self.state.parameters)
        messages = list(self.configure_train(number, arrays, ConfigRecord(), exchange.grid))
        with closing(self._answers(exchange, messages, f"round {number}")) as replies:
            self.aggregate_train(number, replies)
        return dict.fromkeys(self._names.values(), wire_bytes(messages[0]))

    def _summed(self, exchange: Exchange) -> dict[str, int]:
        """Make one update of a sum of updates that nobody sees; bytes of all messages to each."""
        plan = self._config.plan_for(self.state.round + 1, self.state.clipping_norm)
        found = self._sessions(exchange).update(self._names, self.state.parameters, plan)
        for platform, reason, size in found.refused:
            self._state = rounds.refuse(self.state, platform, reason, size)
        state = rounds.take_sum(
            self._config, self.state, found.summed, counted=found.counted, record=found.record
        )
        self._state = rounds.optimise(self._config, state)
        return dict(found.down)

    def _run_evaluation(self, exchange: Exchange) -> None:
        self._names = self._wait_for_quorum(exchange)
        if self._config.secure:
            plan = self._config.plan_for(max(self.state.round, 1))  # rounds begin at 1
            found = self._sessions(exchange).evaluation(self._names, self.state.parameters, plan)
            self._evaluation = {EVERYBODY: found.summed.metrics}
        else:
            self._evaluate_each(exchange)
        self._state = rounds.conclude(self.state, self._evaluation)

    def _evaluate_each(self, exchange: Exchange) -> None:
        number, arrays = self.state.round, to_arrays(self.state.parameters)
        messages = list(self.configure_evaluate(number, arrays, ConfigRecord(), exchange.grid))
        with closing(self._answers(exchange, messages, "evaluation")) as replies:
            self.aggregate_evaluate(number, replies)

    def _sessions(self, exchange: Exchange) -> Sessions:
        return Sessions(self._config, exchange, self._tell, self._attempts)

    def _answers(
        self, exchange: Exchange, messages: Sequence[Message], what: str
    ) -> Generator[Message, None, None]:
        """Each reply as it comes, up to the deadline; who is waited for is told."""
        waiting = set(self._names.values())
        self._tell(f"{what}: waits for {', '.join(sorted(waiting))}")
        until = self._clock.now() + self._config.deadline_s
        for reply in exchange.replies(messages, until):
            waiting.discard(self._sender(reply))
            if waiting:
                self._tell(f"{what}: waits for {', '.join(sorted(waiting))}")
            yield reply

    def _wait_for_quorum(self, exchange: Exchange) -> dict[int, str]:
        """Who is online, at the latest when the join deadline has passed; maybe too few."""
        secure, needed = self._config.secure, self._config.minimum_platforms
        needed = max(needed, secure.minimum) if secure else needed
        deadline = self._clock.now() + self._config.join_deadline_s
        while True:
            nodes = exchange.grid.get_nodes()
            names = {node.node_id: node.name or f"node-{node.node_id}" for node in nodes}
            if secure:
                names = {node: name for node, name in names.items() if name in secure.identities}
            if len(names) >= needed or self._clock.now() >= deadline:
                return _require_unique(names)
            self._tell(f"waits for platforms: have {len(names)} of {needed}")
            exchange.check()
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
