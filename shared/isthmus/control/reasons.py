"""Why the server refuses a call: one word that programs read, and a sentence for people."""

from __future__ import annotations

from typing import Final, Literal, get_args

from isthmus.errors import IdentityError

METADATA_KEY: Final = "isthmus-reason"
"""Trailing metadata under which a refusal's word travels."""

Reason = Literal[
    "revoked",
    "suspended",
    "pending",
    "unknown",
    "expired",
    "clone",
    "closed",
    "clock",
    "invitation",
    "invalid",
    "absent",
    "busy",
    "failed",
]
"""- `revoked`, `suspended`, `pending`: what the operator, or an alarm, made of the platform.
- `unknown`: no certificate of this federation, none that counts any more, or no such platform.
- `expired`: the certificate; collect another.
- `clone`: this identity is in use twice; the operator has to look.
- `closed`: no session is open; open one. No alarm.
- `clock`: the two clocks are too far apart.
- `invitation`: the invitation is not good; nobody is told why.
- `invalid`: a message breaks the protocol.
- `absent`: there is no such run or release, or it is none of this platform's.
- `busy`: too many calls at once; try again.
- `failed`: the server could not do it; its operator finds why in its log.
"""

WORDS: Final[dict[Reason, str]] = {
    "revoked": "the operator has revoked this platform",
    "suspended": "this platform is suspended until the operator approves it again",
    "pending": "the operator has not approved this platform yet",
    "unknown": "the server does not know this platform by this certificate",
    "expired": "the platform's certificate has expired",
    "clone": "this platform's identity is in use twice; it is suspended until the operator looks",
    "closed": "no session of this platform is open",
    "clock": "the clocks of platform and server are too far apart",
    "invitation": "the server refuses this invitation",
    "invalid": "the server refuses this message",
    "absent": "the server has no such thing for this platform",
    "busy": "the server is busy",
    "failed": "the server could not do this",
}

_HINTS: Final[dict[Reason, str]] = {
    "revoked": "ask the operator; an invitation anew lets the platform join with new keys",
    "suspended": "ask the operator: isthmus server list says why",
    "pending": "wait, or tell the operator this platform's fingerprint",
    "unknown": "isthmus client join with a new invitation, if this is the right server",
    "clone": "end every other process or copy of this platform, then ask the operator to approve",
    "clock": "set this machine's clock by a time server (NTP)",
    "invitation": "it may be used, too old, withdrawn, or for another name: ask for another",
    "busy": "it is tried again by itself",
    "failed": "ask the operator to look into the server's log",
}


class RefusedError(IdentityError):
    """The server refused a call.

    Attributes:
        reason: why, for programs.
    """

    def __init__(self, reason: Reason, message: str = "") -> None:
        super().__init__(message or WORDS[reason], hint=_HINTS.get(reason, ""))
        self.reason: Final = reason


def known_reason(word: str) -> Reason:
    """The reason that a server told; `failed` for one that we do not know."""
    return word if word in get_args(Reason) else "failed"  # type: ignore[return-value]
