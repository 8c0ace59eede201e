"""Sessions of secure aggregation over Flower's messages: five phases, and a sum at the end.

A phase closes when all have answered or its part of the round's deadline is over. Who is silent,
fails or is refused in a phase is out of the session; too few of them end it, and nothing of what
was sent can be read. What a phase accepts is `isthmus.secagg`'s to say; this moves the bytes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from flwr.app import Message, RecordDict

from isthmus.errors import AggregationError, FederationError, MessageRefusedError
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared
from isthmus.records import Opened
from isthmus.secagg import Adverts, Agreements, Alarm, Reveals, Shares, Terms, Vectors, opened
from isthmus.secagg.masks import Vector
from isthmus.secagg.messages import Signed
from isthmus.secagg.server import Notices
from isthmus.secure_sums import Layout, Summed, evaluation_layout, layout_for, session_hash
from isthmus_server.config import SecureCohort, ServerConfig
from isthmus_server.flower.exchange import Exchange
from isthmus_server.flower.records import (
    spoken_of,
    to_arrays,
    to_notice,
    to_opening,
    wire_bytes,
)
from isthmus_server.history import SumRecord

AnyPhase = Adverts | Shares | Vectors | Agreements | Reveals
Tell = Callable[[str], None]


class SecureRoundError(FederationError):
    """A session that gave no sum; nothing of it can be read.

    Attributes:
        alarm: why, as one of `isthmus.secagg.Alarm`; "" = the sum was no possible one.
    """

    def __init__(self, message: str, *, alarm: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.alarm = alarm


@dataclass(frozen=True)
class Step:
    """One phase as messages.

    Attributes:
        name: as an operator reads it.
        kind: Flower's message type; `train` is `evaluate` where metrics alone are summed.
        until: part of the round's deadline at which it closes.
    """

    name: str
    kind: str
    until: float


STEPS: Final = (
    Step("keys", "train.advertise", 0.125),
    Step("shares", "query.share", 0.25),
    Step("vectors", "train.mask", 0.75),
    Step("agreements", "query.agree", 0.875),
    Step("reveals", "query.reveal", 1.0),
)
"""Training is in the third; a phase that closes early leaves its time to it."""


class Attempts:
    """Numbers of sessions that go up over restarts, by the wall clock.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._last = clock, 0

    def __call__(self) -> int:
        """A number above all before; milliseconds, unless two sessions fall into one."""
        self._last = max(self._last + 1, int(self._clock() * 1000))
        return self._last


@dataclass
class _Seen:
    """What happened in a session so far.

    Attributes:
        up: bytes of each platform's messages, as `down` of those to it.
        present: whose vectors are in the sum.
    """

    up: Counter[str] = field(default_factory=Counter)
    down: Counter[str] = field(default_factory=Counter)
    refused: list[tuple[str, str, int]] = field(default_factory=list)
    dropped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    present: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A session that gave a sum.

    Attributes:
        counted: bytes of all messages of each platform in the sum; `down` of those to each.
        refused: platform, reason, bytes of the refused reply.
    """

    summed: Summed
    record: SumRecord
    counted: Mapping[str, int]
    down: Mapping[str, int]
    refused: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class Sessions:
    """Runs a run's sessions, one after the other.

    Attributes:
        config: the run's, with a secure cohort.
        exchange: with the platforms.
        tell: told where a session stands and for whom it waits.
        attempts: numbers that go up over restarts.
    """

    config: ServerConfig
    exchange: Exchange
    tell: Tell
    attempts: Callable[[], int]

    def update(self, nodes: Mapping[int, str], parameters: Shared, plan: RoundPlan) -> Outcome:
        """The sum of the platforms' updates.

        Args:
            nodes: platforms of the cohort by Flower's node.
            parameters: of the round.
            plan: of the round.

        Guarantees:
            Of users, metrics and updates the server learns the sums over the platforms named in
            the outcome; of a session that fails, nothing.

        Raises:
            SecureRoundError: too few got through a phase, or one of them lied.
            InterruptedWaitError: somebody wants something else.
        """
        layout = layout_for(parameters, plan, self._cohort.metrics, self.config.weights)
        return self._run(nodes, parameters, plan, layout, evaluate=False)

    def evaluation(self, nodes: Mapping[int, str], parameters: Shared, plan: RoundPlan) -> Outcome:
        """The means of the platforms' metrics of these parameters; as `update`."""
        layout = evaluation_layout(self._cohort.metrics)
        return self._run(nodes, parameters, plan, layout, evaluate=True)

    @property
    def _cohort(self) -> SecureCohort:
        assert self.config.secure is not None
        return self.config.secure

    def _run(
        self,
        nodes: Mapping[int, str],
        parameters: Shared,
        plan: RoundPlan,
        layout: Layout,
        *,
        evaluate: bool,
    ) -> Outcome:
        seen = _Seen()
        try:
            terms = self._terms(nodes.values(), plan, layout.length)
            session = _Session(self, terms, dict(nodes), seen, evaluate=evaluate)
            summed = layout.decode(session.total(parameters, plan, layout), len(seen.present))
        except (AggregationError, MessageRefusedError) as error:
            reasons = "; ".join(f"{name}: {reason}" for name, reason, _ in seen.refused)
            told = f"round {plan.round}: {error}" + (f" ({reasons})" if reasons else "")
            alarm = getattr(error, "alarm", "")
            raise SecureRoundError(told, alarm=str(alarm), hint=error.hint) from error
        record = SumRecord(summed.users, summed.metrics, terms.attempt, seen.dropped, seen.seconds)
        counted = {name: seen.up[name] for name in seen.present}
        return Outcome(summed, record, counted, seen.down, tuple(seen.refused))

    def _terms(self, names: Iterable[str], plan: RoundPlan, length: int) -> Terms:
        """Of the next session.

        Raises:
            AggregationError: these platforms are too few for the agreed numbers.
        """
        cohort, present = self._cohort, sorted(names)
        members = tuple((name, cohort.identities[name]) for name in present)
        threshold, minimum = cohort.threshold_for(len(present)), cohort.minimum
        if max(threshold, minimum) > len(present):
            raise AggregationError(
                f"{len(present)} platforms are there, {max(threshold, minimum)} are needed",
                alarm=Alarm.TOO_FEW,
                hint="try the round again when more platforms can answer",
            )
        return Terms(
            run=plan.run_id,
            round=plan.round,
            contract=cohort.contract,
            members=members,
            threshold=threshold,
            length=length,
            minimum=minimum,
            attempt=self.attempts(),
        )


@dataclass
class _Session:
    """One session."""

    of: Sessions
    terms: Terms
    nodes: dict[int, str]
    seen: _Seen
    evaluate: bool = field(kw_only=True)

    def __post_init__(self) -> None:
        self._node = {name: node for node, name in self.nodes.items()}
        self._began = self.of.exchange.clock.now()

    def total(self, parameters: Shared, plan: RoundPlan, layout: Layout) -> Vector:
        """The sum of the vectors of `seen.present`.

        Raises:
            AggregationError: the session ended without one.
        """
        told = Opened(self.terms.to_bytes(), layout.metrics, layout.weights, self.evaluate)
        opening = to_opening(to_arrays(parameters), plan, told)
        alike = session_hash(
            parameters, plan, layout.metrics, layout.weights, evaluate=self.evaluate
        )
        phase: AnyPhase = opened(self.terms, alike)
        contents = dict.fromkeys(self.terms.names, opening)
        for step in STEPS:
            phase = self._heard(step, phase, contents)
            if isinstance(phase, Vectors):
                self.seen.present = tuple(sorted(phase.got))
            if isinstance(phase, Reveals):
                return phase.close()
            notices: Notices
            phase, notices = phase.close()
            contents = {name: to_notice(data, plan.run_id) for name, data in notices.items()}
        raise AssertionError("the last phase gives the sum")

    def _heard(self, step: Step, phase: AnyPhase, contents: Mapping[str, RecordDict]) -> AnyPhase:
        """The phase with the answers that came in time."""
        clock = self.of.exchange.clock
        began, until = clock.now(), self._began + step.until * self.of.config.deadline_s
        messages = self._messages(step, contents, until - began)
        waiting = set(contents)
        self._tell(step, waiting)
        for reply in self.of.exchange.replies(messages, until):
            name = self.nodes[reply.metadata.src_node_id]
            waiting.discard(name)
            phase = self._taken(step, phase, name, reply)
            self._tell(step, waiting)
        if phase.waiting:
            self.seen.dropped[step.name] = phase.waiting
        self.seen.seconds[step.name] = clock.now() - began
        return phase

    def _messages(
        self, step: Step, contents: Mapping[str, RecordDict], lives_s: float
    ) -> list[Message]:
        kind = step.kind.replace("train.mask", "evaluate.mask") if self.evaluate else step.kind
        group, ttl = str(self.terms.round), max(lives_s, 1e-3)
        found = []
        for name, content in contents.items():
            message = Message(content, self._node[name], kind, ttl=ttl, group_id=group)
            self.seen.down[name] += wire_bytes(message)
            found.append(message)
        return found

    def _taken(self, step: Step, phase: AnyPhase, name: str, reply: Message) -> AnyPhase:
        """The phase with one more answer, or as it was where that is refused."""
        size = wire_bytes(reply)
        self.seen.up[name] += size
        try:
            data = spoken_of(reply, self.terms.run)
            _require_sender(data, name)
            return phase.receive(data)
        except (AggregationError, MessageRefusedError) as error:
            alarm = f"{error.alarm}: " if isinstance(error, AggregationError) else ""
            self.seen.refused.append((name, f"{step.name}: {alarm}{error}", size))
            return phase

    def _tell(self, step: Step, waiting: set[str]) -> None:
        if waiting:
            names = ", ".join(sorted(waiting))
            self.of.tell(f"round {self.terms.round}, phase {step.name}: waits for {names}")


def _require_sender(data: bytes, name: str) -> None:
    """Refuse a message that one platform's node brings in the name of another.

    Raises:
        AggregationError: names both.
    """
    sender = Signed.from_bytes(data).sender
    if sender != name:
        raise AggregationError(
            f"{name!r} answered in the name of {sender!r}", alarm=Alarm.UNKNOWN_SENDER
        )
