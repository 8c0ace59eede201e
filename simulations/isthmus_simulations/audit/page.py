"""What the audit found, for people and programs: the page, the terminal's table, the JSON."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from isthmus.files import write_text
from isthmus.privacy.one_run import GUESSED_SHARE
from isthmus_client.pages import environment, plain_assets
from isthmus_simulations.audit.records import FOLDER
from isthmus_simulations.audit.verdict import Audit, Bound, contradictions, schedule

PAGE: Final = "privacy.html"
_PACKAGE: Final = "isthmus_simulations.audit"
_MODES: Final = {
    "none": "no privacy: nothing is clipped or noised",
    "local": "local: each platform adds all the noise, and nobody outside it is trusted",
    "pooled": "pooled: each platform adds a share of the noise, and only the sum is seen",
}


def write_page(audit: Audit, run: Path) -> Path:
    """Write `audit/privacy.html` into the run's folder, wholly or not at all.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    path = run / FOLDER / PAGE
    write_text(path, render_page(audit))
    return path


def render_page(audit: Audit) -> str:
    """The page as text; a pure function of its argument."""
    filters = {"number": number, "chance": chance}
    return (
        environment(_PACKAGE, filters)
        .get_template("privacy.html.j2")
        .render(
            **plain_assets(),
            audit=audit,
            claim=audit.claim,
            verdict=verdict(audit),
            facts=facts(audit),
            bars=bars(audit),
            share=GUESSED_SHARE,
        )
    )


def as_table(audit: Audit) -> Table:
    """The same for a terminal."""
    table = Table(title=verdict(audit), title_justify="left", caption_justify="left")
    table.caption = "\n".join(f"{term}: {words}" for term, words in facts(audit))
    table.add_column("platform")
    for heading in ("claimed ε", "shown ε ≥", "most it could show", "right guesses", "p of claim"):
        table.add_column(heading, justify="right")
    for bound in audit.bounds:
        table.add_row(
            bound.platform,
            number(audit.claim.epsilon),
            number(bound.epsilon),
            number(bound.ceiling),
            f"{bound.guesses.correct} of {bound.guesses.guessed}",
            chance(bound.p_value),
        )
    return table


def as_json(audit: Audit) -> dict[str, Any]:
    """Every figure, for programs."""
    return {
        "consistent": audit.consistent,
        "confidence": audit.confidence,
        "accounted": audit.accounted,
        "claim": audit.claim.model_dump(mode="json"),
        "platforms": [asdict(bound) for bound in audit.bounds],
    }


def verdict(audit: Audit) -> str:
    """One sentence that does not say more than was found."""
    claimed = audit.claim.epsilon
    if claimed is None:
        return "Nothing is claimed: this run trained without differential privacy."
    if odd := contradictions(audit.claim, *audit.bounds):
        names = ", ".join(bound.platform for bound in odd)
        return f"The claim of epsilon {number(claimed)} is disproved on {names}: do not release."
    if audit.misaccounted:
        return (
            f"Epsilon {number(claimed)} is claimed, the schedule costs {number(audit.accounted)}: "
            "do not release."
        )
    return f"No attack contradicts the claim of epsilon {number(claimed)}. That is no proof of it."


def facts(audit: Audit) -> list[tuple[str, str]]:
    """What the figures rest on."""
    claim = audit.claim
    found = [
        ("Trust mode", _MODES[claim.mode]),
        ("Schedule", schedule(claim)),
        ("Delta", f"{claim.delta:.3g}"),
        ("Confidence", f"{audit.confidence:.0%} that no platform's bound is too high"),
    ]
    if audit.accounted is not None:
        accountant = f"epsilon {number(audit.accounted)} for this schedule"
        found.insert(2, ("Accountant", accountant))
    if weak := [bound.platform for bound in audit.bounds if _too_few(audit, bound)]:
        found.append(("Too few canaries", f"the claim could not be disproved on {', '.join(weak)}"))
    return found


def bars(audit: Audit) -> list[tuple[Bound, float, float, float | None]]:
    """Bound, and shares of the longest bar: of the bound, its ceiling, and the claim."""
    claimed = audit.claim.epsilon
    longest = max([claimed or 0.0, *(bound.ceiling for bound in audit.bounds)]) or 1.0
    claim = None if claimed is None else claimed / longest
    return [(b, b.epsilon / longest, b.ceiling / longest, claim) for b in audit.bounds]


def number(value: float | None) -> str:
    """An epsilon, if there is one."""
    return "none" if value is None else f"{value:.2f}"


def chance(value: float | None) -> str:
    """A p-value; small ones as what they are below."""
    if value is None:
        return "none"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004 - figures shown


def _too_few(audit: Audit, bound: Bound) -> bool:
    return audit.claim.epsilon is not None and bound.ceiling <= audit.claim.epsilon
