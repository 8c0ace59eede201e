"""The privacy of a private run as a report shows it: the schedule, and epsilon for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isthmus_simulations.report import formats
from isthmus_simulations.results import Privacy, PrivateRun


@dataclass(frozen=True)
class ClaimTable:
    """A small table of text cells."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Claims:
    """What stands below a private run's statement.

    Attributes:
        facts: figure and what it is; they name no platform.
        tables: epsilon for whom; they name no platform either, as a model card must not.
        platforms: each platform's ledger.
    """

    facts: tuple[tuple[str, str], ...]
    tables: tuple[ClaimTable, ...]
    platforms: ClaimTable


def claims_of(privacy: Privacy) -> Claims | None:
    """The details of a claim; None where nothing is claimed."""
    run = privacy.run
    if run is None:
        return None
    facts: tuple[tuple[str, str], ...] = (
        (run.trust, "trust mode"),
        (formats.count(run.rounds), "rounds, one noised gradient each"),
        (f"{run.noise_multiplier:.3g}", "noise multiplier"),
        (f"{run.noise_norm:.3g}", "norm of the noise, in clipping norms; useful below about 2"),
        (f"{100 * run.sampling_rate:.3g} %", "of the users in a round, Poisson"),
        (f"{run.clipping_norm:g}", "clipping norm of a user's gradient"),
    )
    if run.last_clipping_norm is not None:
        shown = f"clipping norm at last: it followed quantile {run.clipping_quantile:g} of users"
        facts = (*facts, (f"{run.last_clipping_norm:.3g}", shown))
    if run.audit and run.audit_confidence is not None:
        sure = f"{100 * run.audit_confidence:g} %"
        shown = f"lower bound of ε by an attack with canaries, {sure} sure"
        facts = (*facts, (f"{max(run.audit.values()):.3g}", shown))
    return Claims(facts, tuple(_tables(run)), _platforms(run))


def _platforms(run: PrivateRun) -> ClaimTable:
    head: tuple[str, ...] = ("platform", "published users", "ε charged")
    if run.audit:
        head = (*head, "attack shows at least")
    rows = [_platform(run, name) for name in run.users]
    return ClaimTable("Each platform's ledger", head, tuple(rows))


def _tables(run: PrivateRun) -> list[ClaimTable]:
    found = [_counted("A person on several platforms", "platforms", run.overlap)]
    if run.collusion:
        caption = f"Platforms that collude with the server; planned for: {run.colluders}"
        found.append(_counted(caption, "colluding", run.collusion))
    return found


def _platform(run: PrivateRun, name: str) -> tuple[str, ...]:
    cells = (name, formats.count(run.users[name]), f"{run.spent[name]:.3g}")
    return (*cells, f"{run.audit[name]:.3g}") if run.audit else cells


def _counted(caption: str, what: str, values: Mapping[int, float]) -> ClaimTable:
    rows = tuple((str(number), f"{value:.3g}") for number, value in values.items())
    return ClaimTable(caption, (what, "ε"), rows)
