"""Where rows come from: files and databases, opened read-only and read in bounded memory."""

from __future__ import annotations

from isthmus_client.feeds.arrow import ArrowFeed
from isthmus_client.feeds.feed import BATCH_ROWS, LINE, Feed, Malformed
from isthmus_client.feeds.opening import open_feeds

__all__ = [
    "BATCH_ROWS",
    "LINE",
    "ArrowFeed",
    "Feed",
    "Malformed",
    "open_feeds",
]
