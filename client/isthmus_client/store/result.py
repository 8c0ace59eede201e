"""What an ingest did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from isthmus_client.store.manifest import FeedRecord, Manifest


@dataclass(frozen=True)
class FeedResult:
    """One feed's part. Exactly: read = added + updated + already + rejected.

    Attributes:
        table: of the contract.
        feed: its name.
        known: whether it was skipped because the very same content was taken in before.
        read: rows, those that could not be taken apart among them.
        added: rows that were new.
        updated: rows that replaced an older one.
        already: rows that were in the store.
        rejected: {reason: rows}.
    """

    table: str
    feed: str
    known: bool
    read: int = 0
    added: int = 0
    updated: int = 0
    already: int = 0
    rejected: dict[str, int] | None = None

    @property
    def rejections(self) -> int:
        """Rows rejected for any reason."""
        return sum((self.rejected or {}).values())

    def record(self, number: int, fingerprint: str | None, *, items: int, taken: str) -> FeedRecord:
        """As the manifest keeps it."""
        return FeedRecord(
            table=self.table,
            name=self.feed,
            number=number,
            fingerprint=fingerprint,
            taken=taken,
            read=self.read,
            added=self.added,
            updated=self.updated,
            already=self.already,
            rejected=self.rejected or {},
            items=items,
        )


@dataclass(frozen=True)
class IngestResult:
    """All feeds' parts, and the store after them.

    Attributes:
        feeds: in the order in which they were taken.
        generation: of the store.
        changed: whether this ingest made it.
        expired: stored events that retention removed.
        users: with at least one stored event.
        items: stored.
        events: stored.
        quarantine: file that names every rejected row; None = no row was.
    """

    feeds: tuple[FeedResult, ...]
    generation: int
    changed: bool
    expired: int
    users: int
    items: int
    events: int
    quarantine: Path | None

    @property
    def added(self) -> int:
        """Rows that are new in the store."""
        return sum(feed.added for feed in self.feeds)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        feeds = [{**asdict(feed), "rejected": feed.rejected or {}} for feed in self.feeds]
        where = str(self.quarantine) if self.quarantine else None
        return {**asdict(self), "feeds": feeds, "added": self.added, "quarantine": where}


def summary(manifest: Manifest) -> dict[str, int]:
    """What a generation holds."""
    return {
        "generation": manifest.generation,
        "users": manifest.user_count,
        "items": manifest.item_count,
        "events": manifest.events,
    }
