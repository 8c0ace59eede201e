"""Every bound of the control service, with its unit."""

from __future__ import annotations

from typing import Final

MAX_MESSAGE: Final = 2**20  # bytes of any one message
MAX_STRANGERS: Final = 64 * 2**10  # bytes of a message of somebody without a certificate
CHUNK: Final = 256 * 2**10  # bytes of a release's file in one message
MAX_RELEASE_FILE: Final = 2**30  # bytes of one file of a release
MAX_RELEASE_FILES: Final = 16
MAX_FACTS: Final = 16 * 2**10  # bytes of JSON that a platform tells of itself
MAX_REASON: Final = 2000  # characters of a decision's reason
MAX_TICKET: Final = 128  # characters of a session's ticket
MAX_KNOWN: Final = 1000  # contracts that a platform says it knows
MEMBER_CALLS: Final = 6  # of one platform at the same time; it has two at most of its own accord
MEMBER_TRANSFERS: Final = 2  # of releases to one platform at the same time
MEMBER_MESSAGE_S: Final = 30.0  # for which a member's message is waited for
MEMBER_LINES: Final = 100  # that a member's calls write at once into log and tables
LINES_REFILL_S: Final = 1.0  # until it may write one more
TOLD_AT_ONCE: Final = 5  # events of one kind about one platform, or about strangers
TOLD_REFILL_S: Final = 30.0  # until there may be one more
STRANGER_MESSAGE_S: Final = 10.0  # the same, of somebody without a certificate

SKEW_WARNED_S: Final = 5.0  # between two clocks, above which an operator is told
SKEW_REFUSED_S: Final = 240.0  # above which no session goes on; Flower refuses beyond 300 s

KEEPALIVE_S: Final = 15.0  # without a byte, after which a connection is asked whether it lives
"""Half of the usual idle limit or less, so that a link that died is found by it."""
