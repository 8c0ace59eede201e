"""The round as a pure state machine: no clock, no network, no disk; state in, state out.

Order, and nothing else (any other order raises FederationError):

    start ─► IDLE ─configure─► COLLECTING ─receive*, refuse*─► COLLECTING ─aggregate─► AGGREGATED
    AGGREGATED ─optimise─► OPTIMISED ─commit─► IDLE | EVALUATING | DONE
    EVALUATING ─conclude─► DONE

Under secure aggregation `take_sum` stands in for `receive` and `aggregate`: the sum over platforms
whose updates nobody sees. Sessions that fail raise before it, and leave the run as it was.

Rules:
1. A reply is checked before it is used: known platform, first reply of this round, this round,
   the base's fingerprint, names and shapes, float32, finite, a norm in reason, a count of users.
   A bad reply is recorded with its reason and changes nothing else; it never raises. A platform
   without users counts nothing; where nobody has any, parameters and the optimiser's memory stay.
2. Fewer accepted updates than the minimum: `aggregate` raises; the state before stays good.
3. Only `commit` changes the parameters that the next round starts from.
4. Where the clipping norm adapts, `aggregate` takes the share of users within it off the update
   and `commit` moves it; it never moves within a round.
5. After the last round (or an early stop) one evaluation validates the last parameters, if the
   plan validates at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from isthmus.errors import FederationError, MessageRefusedError
from isthmus.messages import MAX_UPDATE_BYTES, RoundPlan, Update
from isthmus.parameters import GridSum, Shared
from isthmus.privacy import adaptive
from isthmus.secure_sums import Summed
from isthmus_server.aggregate import Combined
from isthmus_server.config import ServerConfig
from isthmus_server.history import (
    Metrics,
    PlatformRecord,
    Refusal,
    RoundRecord,
    SumRecord,
    should_stop,
    validation,
)
from isthmus_server.noised_sum import NoisedSum
from isthmus_server.optimisers import Slots
from isthmus_server.plausible import require_plausible

MAX_REASON = 300  # characters of a refusal's reason; the rest is cut


class Phase(StrEnum):
    """Where a run stands."""

    IDLE = "idle"
    COLLECTING = "collecting"
    AGGREGATED = "aggregated"
    OPTIMISED = "optimised"
    EVALUATING = "evaluating"
    DONE = "done"


@dataclass(frozen=True)
class OpenRound:
    """A round that is not committed yet."""

    plan: RoundPlan
    base: str  # fingerprint of the parameters sent out
    cohort: frozenset[str]
    accepted: Mapping[str, tuple[Update, int]] = field(default_factory=dict)  # with bytes up
    refused: tuple[tuple[str, str, int], ...] = ()  # platform, reason, bytes up
    combined: Combined | None = None
    clipping_norm: float = 0.0  # of the next round, once there is a combined update
    moved: tuple[Shared, Slots] | None = None
    counted: Mapping[str, int] = field(default_factory=dict)  # in a sum, with bytes up
    sum: SumRecord | None = None


@dataclass(frozen=True)
class RunState:
    """A run between two calls.

    Attributes:
        round: the last committed round; 0 before the first.
        parameters: what that round committed.
        slots: the server optimiser's memory after it.
        history: the committed rounds from 1 on.
        evaluation: metrics by platform of the last parameters; empty before the end.
        clipping_norm: of the next private round; 0 without privacy.
    """

    phase: Phase
    round: int
    parameters: Shared
    slots: Slots
    history: tuple[RoundRecord, ...] = ()
    evaluation: Mapping[str, Metrics] = field(default_factory=dict)
    open: OpenRound | None = None
    clipping_norm: float = 0.0


def start(config: ServerConfig, initial: Shared) -> RunState:
    """A run before its first round."""
    norm = config.plan.clipping_norm
    state = RunState(Phase.IDLE, 0, initial, config.optimiser.init(initial), clipping_norm=norm)
    return replace(state, phase=next_phase(config, state))


def next_phase(config: ServerConfig, state: RunState) -> Phase:
    """What follows the last committed round: another round, the evaluation, or nothing."""
    scores = validation(state.history, {}, config.score)[:-1]  # none yet of the last parameters
    if state.round < config.rounds and not should_stop(scores, config.patience):
        return Phase.IDLE
    return Phase.EVALUATING if config.plan.validate and not state.evaluation else Phase.DONE


def fingerprint(state: RunState) -> str:
    """Of the committed parameters; taken from the last round's record where there is one."""
    return state.history[-1].fingerprint if state.history else state.parameters.fingerprint()


def configure(config: ServerConfig, state: RunState, cohort: Iterable[str]) -> RunState:
    """Open the next round for these platforms.

    Raises:
        FederationError: out of order, or fewer platforms than the minimum.
    """
    _require(state, Phase.IDLE)
    names = frozenset(cohort)
    _require_quorum(config, state.round + 1, len(names), "are online")
    plan = config.plan_for(state.round + 1, state.clipping_norm)
    opened = OpenRound(plan, fingerprint(state), names)
    return replace(state, phase=Phase.COLLECTING, open=opened)


def receive(state: RunState, sender: str, update: Update, bytes_up: int) -> RunState:
    """Take one update, or record why not.

    Args:
        state: a run that collects.
        sender: the platform that the transport says it is from.
        update: as decoded.
        bytes_up: of the serialised reply.

    Raises:
        FederationError: out of order.
    """
    opened = _opened(state, Phase.COLLECTING)
    try:
        _check(opened, state.parameters, sender, update)
    except MessageRefusedError as reason:
        return refuse(state, sender, str(reason), bytes_up)
    accepted = {**opened.accepted, sender: (update, bytes_up)}
    return replace(state, open=replace(opened, accepted=accepted))


def refuse(state: RunState, sender: str, reason: str, bytes_up: int = 0) -> RunState:
    """Record a reply that could not be used, such as a client's error.

    Raises:
        FederationError: out of order.
    """
    opened = _opened(state, Phase.COLLECTING)
    refused = (*opened.refused, (sender, _plain(reason), bytes_up))
    return replace(state, open=replace(opened, refused=refused))


def _plain(reason: str) -> str:
    """Bounded, and without what a terminal obeys: part of it may be a platform's own words."""
    return "".join(letter if letter.isprintable() else "?" for letter in reason[:MAX_REASON])


def _check(opened: OpenRound, base: Shared, sender: str, update: Update) -> None:
    """Raise MessageRefusedError with the first thing that is wrong with an update."""
    if sender not in opened.cohort:
        raise MessageRefusedError(f"platform {sender!r} is not in this round's cohort")
    if update.platform != sender:
        raise MessageRefusedError(f"{sender!r} answered in the name of {update.platform!r}")
    if sender in opened.accepted:
        raise MessageRefusedError(f"{sender!r} has already answered in this round")
    if update.round != opened.plan.round:
        raise MessageRefusedError(f"stale: round {update.round}, expected {opened.plan.round}")
    if update.base != opened.base:
        raise MessageRefusedError("it started from other parameters than those sent")
    if type(update.users) is not int or update.users < 0:
        raise MessageRefusedError(f"users is {update.users!r}, must be a count of 0 or more")
    _check_delta(opened.plan, base, update.delta)
    if odd := [name for name, value in update.metrics.items() if not math.isfinite(value)]:
        raise MessageRefusedError(f"metrics are not finite: {odd}")


def _check_delta(plan: RoundPlan, base: Shared, delta: Shared | GridSum) -> None:
    """Raise MessageRefusedError where an update's tensors are not what the round asked for."""
    wanted = GridSum if plan.privacy == "pooled" else Shared
    if type(delta) is not wanted:
        raise MessageRefusedError(f"it is a {type(delta).__name__}, expected a {wanted.__name__}")
    plan.require_update(base, delta)
    if delta.bytes > MAX_UPDATE_BYTES:
        raise MessageRefusedError(f"update has {delta.bytes} bytes")
    if isinstance(delta, Shared):
        if not delta.is_finite():
            raise MessageRefusedError("update holds NaN or infinite values")
        require_plausible(plan, base, delta)


def aggregate(config: ServerConfig, state: RunState) -> RunState:
    """Make one update of what was accepted, by the configured rule.

    Where the clipping norm adapts, the share of users within it is taken off the update.

    Raises:
        FederationError: out of order, or too few updates; the message gives each refusal.
    """
    opened = _opened(state, Phase.COLLECTING)
    reasons = "; ".join(f"{name}: {reason}" for name, reason, _ in opened.refused)
    _require_quorum(config, opened.plan.round, len(opened.accepted), "sent a good update", reasons)
    rule = config.rule_for(opened.plan)
    return _combined(state, rule.combine([update for update, _ in opened.accepted.values()]))


def take_sum(
    config: ServerConfig,
    state: RunState,
    summed: Summed,
    *,
    counted: Mapping[str, int],
    record: SumRecord,
) -> RunState:
    """Take a sum over platforms in the place of their updates.

    Args:
        config: the run's.
        state: a run that collects.
        summed: as decoded.
        counted: bytes of all messages of each platform that is in the sum.
        record: what the server saw of it.

    Guarantees:
        No share of a single platform is recorded, as none is known.

    Raises:
        FederationError: out of order, too few platforms, or less noise than planned.
        MessageRefusedError: the sum has other tensors than the round asked for.
    """
    opened = _opened(state, Phase.COLLECTING)
    _require_quorum(config, opened.plan.round, len(counted), "are in the sum")
    opened.plan.require_update(state.parameters, summed.delta)
    mean = _mean_of(config, opened.plan, summed, len(counted))
    part = 1.0 / len(counted) if summed.users else 0.0
    return _combined(
        replace(state, open=replace(opened, counted=dict(counted), sum=record)),
        Combined(mean, dict.fromkeys(counted, part)),
    )


def _mean_of(config: ServerConfig, plan: RoundPlan, summed: Summed, platforms: int) -> Shared:
    """The mean update in a sum."""
    if isinstance(summed.delta, Shared):
        return summed.delta
    rule = config.rule_for(plan)
    if not isinstance(rule, NoisedSum):
        raise FederationError(f"aggregation {rule.name} cannot read a sum on the grid")
    return rule.of_sum(summed.delta, platforms)


def _combined(state: RunState, combined: Combined) -> RunState:
    """The run with one update made of many, and the next round's clipping norm."""
    opened = _opened(state, Phase.COLLECTING)
    if opened.plan.adaptive:
        combined, norm = _adapted(opened.plan, combined)
    else:
        norm = state.clipping_norm
    opened = replace(opened, combined=combined, clipping_norm=norm)
    return replace(state, phase=Phase.AGGREGATED, open=opened)


def _adapted(plan: RoundPlan, combined: Combined) -> tuple[Combined, float]:
    """The update without the scalar that speaks of the norm, and the next round's norm."""
    tensors = dict(combined.mean.tensors)
    mean = float(tensors.pop(adaptive.WITHIN))
    rest = replace(combined, mean=Shared(tensors))
    if not any(combined.shares.values()):  # nobody said anything
        return rest, plan.clipping_norm
    share = adaptive.decoded(mean, plan.clipping_norm)
    return rest, adaptive.moved(plan.clipping_norm, share, plan.clipping_quantile)


def optimise(config: ServerConfig, state: RunState) -> RunState:
    """Let the server optimiser move the parameters; they stay where no update counted.

    Raises:
        FederationError: out of order, or the new parameters are not finite.
    """
    opened = _opened(state, Phase.AGGREGATED)
    assert opened.combined is not None
    if not any(opened.combined.shares.values()):  # a memory of earlier rounds must not move either
        unmoved = (state.parameters, state.slots)
        return replace(state, phase=Phase.OPTIMISED, open=replace(opened, moved=unmoved))
    moved, slots = config.optimiser.apply(state.parameters, opened.combined.mean, state.slots)
    if not moved.is_finite():
        raise FederationError(
            f"round {opened.plan.round}: the server optimiser left the finite numbers",
            hint="lower the server's or the platforms' learning rate",
        )
    return replace(state, phase=Phase.OPTIMISED, open=replace(opened, moved=(moved, slots)))


def commit(
    config: ServerConfig, state: RunState, *, seconds: float, bytes_down: Mapping[str, int]
) -> RunState:
    """Close the round: its parameters become those of the run.

    Args:
        config: the run's.
        state: a run whose parameters were moved.
        seconds: the round took.
        bytes_down: of the serialised message to each platform.

    Raises:
        FederationError: out of order.
    """
    opened = _opened(state, Phase.OPTIMISED)
    assert opened.moved is not None
    parameters, slots = opened.moved
    record = _record(opened, parameters.fingerprint(), seconds, bytes_down)
    history, norm = (*state.history, record), opened.clipping_norm
    closed = RunState(Phase.IDLE, opened.plan.round, parameters, slots, history, clipping_norm=norm)
    return replace(closed, phase=next_phase(config, closed))


def conclude(state: RunState, evaluation: Mapping[str, Metrics]) -> RunState:
    """End the run with the validation of its last parameters.

    Raises:
        FederationError: out of order.
    """
    _require(state, Phase.EVALUATING)
    ordered = {name: evaluation[name] for name in sorted(evaluation)}
    return replace(state, phase=Phase.DONE, evaluation=ordered)


def _record(
    opened: OpenRound, committed: str, seconds: float, bytes_down: Mapping[str, int]
) -> RoundRecord:
    shares = opened.combined.shares if opened.combined else {}
    platforms = {
        name: PlatformRecord(
            users=update.users,
            metrics=dict(sorted(update.metrics.items())),
            update_norm=update.delta.norm() if isinstance(update.delta, Shared) else 0.0,
            bytes_down=bytes_down.get(name, 0),
            bytes_up=bytes_up,
            share=shares.get(name),
        )
        for name, (update, bytes_up) in sorted(opened.accepted.items())
    }
    for name, bytes_up in sorted(opened.counted.items()):
        platforms[name] = PlatformRecord(0, {}, 0.0, bytes_down.get(name, 0), bytes_up)
    refused = tuple(
        Refusal(name, reason, bytes_down.get(name, 0), bytes_up)
        for name, reason, bytes_up in sorted(opened.refused)
    )
    silent = opened.cohort - platforms.keys() - {refusal.platform for refusal in refused}
    missing = tuple(sorted(silent))
    return RoundRecord(
        opened.plan.round, platforms, refused, missing, seconds, committed, opened.sum
    )


def _require(state: RunState, phase: Phase) -> None:
    if state.phase is not phase:
        raise FederationError(f"the run is {state.phase}, this step needs it {phase}")


def _opened(state: RunState, phase: Phase) -> OpenRound:
    _require(state, phase)
    assert state.open is not None
    return state.open


def _require_quorum(
    config: ServerConfig, number: int, have: int, what: str, reasons: str = ""
) -> None:
    if have < config.minimum_platforms:
        raise FederationError(
            f"round {number}: {have} platforms {what}, the minimum is {config.minimum_platforms}"
            + (f" ({reasons})" if reasons else ""),
            hint="resume when more platforms can answer, or lower the minimum",
        )
