"""Findings on rows that the rules reject, table by table."""

from __future__ import annotations

from isthmus_client.readiness.codes import rule_of
from isthmus_client.readiness.findings import Draft, Seen, draft
from isthmus_client.readiness.intake import Intake
from isthmus_client.readiness.results import TableFacts
from isthmus_client.rows.tally import POLICY


def rejected_rows(intake: Intake, facts: TableFacts, limit: float) -> list[Draft]:
    """One finding for each reason, one if there are too many rows in all.

    Args:
        intake: knows the first row of each reason.
        facts: the table's counts.
        limit: share of rows that may be rejected.
    """
    findings = []
    for reason, count in facts.rejected.items():
        rule = rule_of(facts.name, reason)
        place = next((key for key in intake.seen if key[0] == reason), (reason, ""))
        findings.append(
            draft(
                reason,
                facts.name,
                f"{count:,} of {facts.read:,} {rule.what if rule else reason}",
                column=rule.column if rule else place[1],
                count=count,
                of=facts.read,
                seen=intake.seen.get(place),
                advice=_encodings(intake) if reason == "encoding" else "",
            )
        )
    return findings + _too_many(facts, limit)


def _encodings(intake: Intake) -> str:
    """What the feeds noted of lines in another encoding."""
    told = [
        f"{each.feed.name}: {text}."
        for each in intake.feeds
        for kind, text in each.feed.notes
        if kind == "encoding"
    ]
    return " ".join(told)


def unreadable(intake: Intake) -> list[Draft]:
    """Feeds that could not be read to their end."""
    return [
        draft("unreadable_source", intake.table, each.broken, count=1)
        for each in intake.feeds
        if each.broken
    ]


def empty_feeds(facts: TableFacts, *, needed: bool) -> list[Draft]:
    """A table without a row that can be used, or single files without any.

    Args:
        facts: the table's counts.
        needed: whether every platform needs the table.
    """
    if needed and not facts.accepted:
        what = f"none of the {facts.read:,} rows can be used" if facts.read else "there are no rows"
        return [draft("empty_table", facts.name, what, count=facts.read)]
    return [
        draft("empty_feed", facts.name, f"{feed.name} has no rows", count=1, of=len(facts.feeds))
        for feed in facts.feeds
        if not feed.read
    ]


def _too_many(facts: TableFacts, limit: float) -> list[Draft]:
    """Feeds that ingestion would refuse; what retention leaves out is no fault of theirs."""
    found = []
    for feed in facts.feeds:
        count = sum(rows for reason, rows in feed.rejected.items() if reason not in POLICY)
        if count > limit * feed.read:
            what = (
                f"{feed.name}: {count:,} of {feed.read:,} rows are rejected, "
                f"{100 * count / feed.read:.1f} % where {100 * limit:g} % are allowed"
            )
            seen = Seen(feed.name)
            found.append(
                draft("too_many_rejected", facts.name, what, count=count, of=feed.read, seen=seen)
            )
    return found
