"""Bars and dots on one line each: validation figures at the gate, seconds of each stage."""

from __future__ import annotations

from dataclasses import dataclass

from isthmus_simulations.report import formats
from isthmus_simulations.report.verdicts import in_words
from isthmus_simulations.results import Cost, Gate, ModelName, Results


@dataclass(frozen=True)
class Bar:
    """One bar, `width` in per cent of the longest; `role` is what the style sheet colours."""

    label: str
    width: float
    text: str
    role: str


@dataclass(frozen=True)
class Certificate:
    """One platform's gate: the decision, the test behind it, every model's validation figure."""

    platform: str
    federated: bool
    served: str
    test: str
    bars: tuple[Bar, ...]


def certificates(results: Results) -> tuple[Certificate, ...]:
    """One for each platform that passed the gate."""
    return tuple(
        _certificate(name, platform.gate)
        for name, platform in results.platforms.items()
        if platform.gate is not None
    )


def _certificate(name: str, gate: Gate) -> Certificate:
    difference = formats.absolute(gate.difference, gate.low, gate.high)
    return Certificate(
        platform=name,
        federated=gate.decision == "federated",
        served=in_words(gate.served),
        test=f"{formats.label(gate.candidate)} {formats.MINUS} {formats.label(gate.incumbent)}: "
        f"{difference}, {formats.count(gate.users)} validation users{_both(gate)}",
        bars=_validation_bars(gate),
    )


def _both(gate: Gate) -> str:
    """What decided instead, where the gate knew an earlier run's track record."""
    if gate.both is None:
        return ""
    gain, error = 100 * gate.both.gain, 100 * gate.both.standard_error
    sign = formats.MINUS if gain < 0 else "+"
    return f"; with the window before {sign}{abs(gain):.1f} %, standard error of one {error:.1f} %"


def _validation_bars(gate: Gate) -> tuple[Bar, ...]:
    """Highest first; models without a figure are left out."""
    known = {model: value for model, value in gate.validation.items() if value is not None}
    longest = max(known.values(), default=0.0) or 1.0
    order = sorted(known, key=lambda model: -known[model])
    return tuple(
        Bar(formats.label(m), _share(known[m], longest), formats.metric(known[m]), _role(m, gate))
        for m in order
    )


def _role(model: ModelName, gate: Gate) -> str:
    if model == gate.candidate:
        return "candidate"
    return "incumbent" if model == gate.incumbent else "other"


def _share(value: float, longest: float) -> float:
    return round(100 * value / longest, 2)


def stage_bars(cost: Cost) -> tuple[Bar, ...]:
    """Seconds of each stage in the run's order."""
    longest = max(cost.seconds.values(), default=0.0) or 1.0
    return tuple(
        Bar(stage, _share(value, longest), formats.duration(value), "stage")
        for stage, value in cost.seconds.items()
    )


def cost_facts(cost: Cost) -> tuple[tuple[str, str], ...]:
    """(figure, what it is) of everything that is not a stage."""
    up, down = cost.bytes_up_per_round_per_platform, cost.bytes_down_per_round_per_platform
    memory = cost.peak_memory_mb
    facts = [
        (formats.duration(cost.total_seconds), "in all"),
        (formats.count(cost.rounds), "rounds of the encoder"),
        (formats.count(cost.ranker_rounds), "rounds of the ranker"),
        (formats.count(cost.encoder_parameters), "parameters in the shared encoder"),
        (formats.size(up), "up, for each platform and round"),
        (formats.size(down), "down, for each platform and round"),
        (formats.size((up + down) * cost.rounds), "both ways, for each platform in all"),
    ]
    if memory is not None:
        facts.append((formats.size(memory * 1e6), "of memory at the peak"))
    return tuple(facts)
