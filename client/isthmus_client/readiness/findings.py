"""Findings as they are made, before the last check of what they may show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from isthmus_client.readiness.codes import CODES, rule_of
from isthmus_client.readiness.results import SEVERITIES, Finding


@dataclass(frozen=True)
class Seen:
    """Where something was seen first. It holds raw values and never leaves memory.

    Attributes:
        values: {our column: what stands there}.
    """

    feed: str
    line: int = 0
    values: Mapping[str, str | None] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Draft:
    """A finding whose example is not masked yet."""

    finding: Finding
    seen: Seen | None = None


def draft(
    code: str,
    table: str,
    what: str,
    *,
    column: str = "",
    count: int = 0,
    of: int = 0,
    seen: Seen | None = None,
    advice: str = "",
) -> Draft:
    """A finding of a known code.

    Args:
        code: of `CODES`.
        table: as in `Finding`.
        what: in words; figures and names of columns, never a value of a row.
        column: ours, or theirs.
        count: how many.
        of: how many there could have been; 0 leaves the share out.
        seen: an example.
        advice: instead of the code's own.
    """
    known, rule = CODES[code], rule_of(table, code)
    return Draft(
        Finding(
            code=code,
            severity=known.severity,
            table=table,
            column=column,
            what=what,
            count=count,
            share=min(count / of, 1.0) if of else 0.0,
            advice=advice or (rule.advice if rule else known.advice),
        ),
        seen,
    )


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first; within a severity as they were found."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
