"""A platform's part in rounds whose updates nobody sees: one session after the other, in memory.

    advertise -> share -> mask -> agree -> reveal

A session is one attempt at one round. Its secrets die with the process, and the platform then
counts as dropped. What stays on disk is the number of the last session: attempts count up over the
whole run, so that none is ever played a second time, whatever round it is of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from isthmus.errors import AggregationError, IsthmusError, MessageRefusedError, StoreError
from isthmus.files import write_json
from isthmus.messages import RoundPlan, Update
from isthmus.parameters import Shared
from isthmus.secagg import Alarm, Conversation, Site, Terms
from isthmus.secure_sums import Layout, evaluation_layout, layout_for, session_hash
from isthmus_client.outbox import Outbox
from isthmus_client.trainer import LocalTrainer

Measured = Literal["train", "evaluate"]
Step = Literal["share", "mask", "agree", "reveal"]


@dataclass(frozen=True)
class Attendance:
    """The last session of each run, on disk.

    Attributes:
        path: one small JSON file.
    """

    path: Path

    def last(self, run: str) -> int:
        """The attempt of the last session; 0 = none.

        Raises:
            StoreError: the file was altered.
        """
        return self._read().get(run, 0)

    def note(self, run: str, attempt: int) -> None:
        """Write a session down, before anything of it leaves.

        Raises:
            OSError: the disk is full; nothing may leave.
            StoreError: the file was altered.
        """
        write_json(self.path, {**self._read(), run: attempt})

    def _read(self) -> dict[str, int]:
        if not self.path.exists():
            return {}
        try:
            found = json.loads(self.path.read_bytes())
        except ValueError:
            found = None
        if isinstance(found, dict) and all(type(value) is int for value in found.values()):
            return found
        raise StoreError(
            f"{self.path} does not say which rounds this platform took part in",
            hint="put it back from a backup: without it old messages could be played again",
        )


@dataclass(frozen=True)
class Seat:
    """What a platform brings to every session of a run.

    Attributes:
        site: its identity, whom it knows and what it insists on; `after` is filled in.
        attendance: which sessions it took part in.
    """

    site: Site
    attendance: Attendance


SeatFor = Callable[[str], Seat]
"""The seat of the platform with this name."""


@dataclass(frozen=True)
class Opening:
    """What the server opens a session with.

    Attributes:
        terms: of secure aggregation, encoded.
        received: the round's parameters.
        metrics: names that are summed.
        weights: how much an update counts.
        kind: whether updates are summed, or metrics of the parameters received.
    """

    terms: bytes
    received: Shared
    plan: RoundPlan
    metrics: tuple[str, ...]
    weights: str
    kind: Measured

    @property
    def layout(self) -> Layout:
        """Of the session's vectors.

        Raises:
            MessageRefusedError: there is no such layout.
        """
        if self.kind == "evaluate":
            return evaluation_layout(self.metrics)
        return layout_for(self.received, self.plan, self.metrics, self.weights)

    @property
    def digest(self) -> bytes:
        """What all platforms of the session must have been told alike; 32 bytes."""
        evaluate = self.kind == "evaluate"
        told = (self.metrics, self.weights)
        return session_hash(self.received, self.plan, *told, evaluate=evaluate)


@dataclass(frozen=True)
class _Session:
    talk: Conversation
    opening: Opening
    layout: Layout
    platforms: int
    expects: Step = "share"


class SecureSide:
    """The sessions of a process's platforms; usually there is one.

    Args:
        seats: of each platform.

    Guarantees:
        A session begins only if it is later than all before and under terms that the platform
        agreed to; with pooled noise, only over all enrolled platforms, so that no sum is released
        with less noise than planned. What depends on data leaves through the outbox, under masks.
        Whatever goes wrong ends the session: it answers nothing more.
    """

    def __init__(self, seats: SeatFor) -> None:
        self._seats = seats
        self._sessions: dict[str, _Session] = {}

    def advertise(self, platform: str, opening: Opening) -> bytes:
        """Begin a session; what was under way is forgotten.

        Raises:
            AggregationError: the platform did not agree to such a round, or it is an old one.
            MessageRefusedError: terms and plan speak of different rounds or vectors.
            OSError, StoreError: it could not be written down; nothing left.
        """
        self._sessions.pop(platform, None)
        terms, seat, layout = Terms.from_bytes(opening.terms), self._seats(platform), opening.layout
        _require_same_round(terms, opening.plan, layout)
        site = replace(seat.site, after=seat.attendance.last(terms.run))
        if opening.plan.privacy == "pooled":
            site = replace(site, minimum=len(site.enrolled))
        talk = Conversation(site, terms, opening.digest)
        seat.attendance.note(terms.run, terms.attempt)
        self._sessions[platform] = _Session(talk, opening, layout, len(terms.members))
        return talk.opening

    def share(self, platform: str, notice: bytes) -> bytes:
        """Phase 2.

        Raises:
            AggregationError: what the server sent is refused.
        """
        session = self._taken(platform, "share")
        answer = session.talk.share(notice)
        self._sessions[platform] = replace(session, expects="mask")
        return answer

    def mask(self, trainer: LocalTrainer, outbox: Outbox, kind: Measured, notice: bytes) -> bytes:
        """Phase 3: train or measure, and hand out the vector under masks.

        Raises:
            AggregationError: what the server sent is refused.
            IsthmusError: as the trainer and the outbox raise it.
        """
        session = self._taken(trainer.platform, "mask")
        if session.opening.kind != kind:
            raise AggregationError(
                f"the session is to {session.opening.kind}, the message asks to {kind}",
                alarm=Alarm.ORDER,
            )
        answer = _masked(session, trainer, outbox, notice)
        self._sessions[trainer.platform] = replace(session, expects="agree")
        return answer

    def agree(self, platform: str, notice: bytes) -> bytes:
        """Phase 4.

        Raises:
            AggregationError: what the server sent is refused.
        """
        session = self._taken(platform, "agree")
        answer = session.talk.agree(notice)
        self._sessions[platform] = replace(session, expects="reveal")
        return answer

    def reveal(self, platform: str, notice: bytes) -> bytes:
        """Phase 5; the session is over.

        Raises:
            AggregationError: what the server sent is refused.
        """
        return self._taken(platform, "reveal").talk.reveal(notice)

    def _taken(self, platform: str, step: Step) -> _Session:
        """The session, which is no longer here: what fails leaves none behind."""
        session = self._sessions.pop(platform, None)
        if session is None or session.expects != step:
            stands = f"expects {session.expects}" if session else "is in no session"
            raise AggregationError(
                f"the server asks to {step}, but this platform {stands}",
                alarm=Alarm.ORDER,
                hint="it was asked twice, or it was started again within a round: it is left out",
            )
        return session


def _masked(session: _Session, trainer: LocalTrainer, outbox: Outbox, notice: bytes) -> bytes:
    """What leaves: the update of the session, or its metrics, under masks."""
    opening, layout = session.opening, session.layout
    received, plan = opening.received, opening.plan

    def seal(update: Update) -> bytes:
        return session.talk.mask(notice, layout.encode(update, session.platforms))

    def told(metrics: Mapping[str, float]) -> dict[str, float]:
        return {name: value for name, value in metrics.items() if name in layout.metrics}

    if opening.kind == "evaluate":
        measured = told(trainer.evaluate(received, plan))
        return outbox.send_masked_metrics(measured, received=received, plan=plan, seal=seal)
    again = outbox.send_masked_again(received=received, plan=plan, seal=seal)
    if again is not None:
        return again
    result = trainer.train(received, plan)
    return outbox.send_masked(
        result.update,
        received=received,
        users=result.users,
        metrics=result.metrics if plan.private else told(result.metrics),
        plan=plan,
        seal=seal,
    )


def alarm_of(error: IsthmusError) -> str:
    """What the server is told beside an error's class: the alarm's word, where it has one."""
    return f":{error.alarm}" if isinstance(error, AggregationError) and error.alarm else ""


def _require_same_round(terms: Terms, plan: RoundPlan, layout: Layout) -> None:
    """Refuse terms that speak of another round or vector than the plan.

    Raises:
        MessageRefusedError: names both.
    """
    if (terms.run, terms.round) != (plan.run_id, plan.round):
        raise MessageRefusedError(
            f"the terms are of round {terms.round} of run {terms.run!r}, the plan is of round "
            f"{plan.round} of run {plan.run_id!r}"
        )
    if (terms.length, terms.bits) != (layout.length, 64):
        raise MessageRefusedError(
            f"the terms are for {terms.length} numbers of {terms.bits} bits, "
            f"this round has {layout.length} of 64"
        )
