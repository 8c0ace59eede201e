"""What a platform brings to a round and insists on, whatever the server says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.terms import MINIMUM, Terms


@dataclass(frozen=True)
class Site:
    """One platform.

    Attributes:
        name: its own.
        identity: its enrolled key, which signs.
        enrolled: identity keys (32 raw bytes) of the platforms that it knows, by name.
        contract: SHA-256 of the federation contract that it approved, 32 bytes.
        minimum: platforms that a sum with its part must have.
        colluders: platforms that may be in league with a lying server without learning more than
            the sum of the others.
        after: attempt of this run that it took part in last, whatever round it was of; 0 = none.
            Up to it, all are replays.

    Guarantees:
        No attempt of a run is taken part in twice, whichever round the server says it is of: an
        honest server counts attempts up over the whole run and never back. To compare rounds as
        well would be no safer. A server that lies names any attempt above the last one, for any
        round that it likes, under either rule; what a replay could give it is a second answer under
        the keys of the first, and keys are fresh in each session and bound to its attempt. It
        would only refuse an honest server that goes back to an earlier round (a rollback, a backup
        put back). That a round may be asked for again is no harm either: a private one sends its
        very bytes again or is charged anew, and sums of the others over several cohorts are what
        `minimum` is for.
    """

    name: str
    identity: Ed25519PrivateKey = field(repr=False)
    enrolled: Mapping[str, bytes] = field(repr=False)
    contract: bytes
    minimum: int = MINIMUM
    colluders: int = 0
    after: int = 0

    def require(self, terms: Terms) -> None:
        """Refuse a round that the platform did not agree to.

        Raises:
            AggregationError: an old attempt, another contract, too small a cohort, or a member
                whose key is not the enrolled one.
        """
        if terms.attempt <= self.after:
            refuse(
                Alarm.REPLAY,
                f"round {terms.round}: attempt {terms.attempt} is not after attempt {self.after}, "
                "which this platform took part in",
            )
        if terms.contract != self.contract:
            refuse(Alarm.TERMS, "the round is of a federation contract that was not approved here")
        if terms.minimum < self.minimum:
            refuse(
                Alarm.TERMS,
                f"the round would sum over {terms.minimum} platforms, {self.minimum} is our least",
            )
        self._require_colluders(terms)
        self._require_members(terms)

    def _require_colluders(self, terms: Terms) -> None:
        """Two lists of survivors, each signed by a threshold, need that many double signers."""
        borne = min(2 * terms.threshold - len(terms.members) - 1, terms.quorum - 2)
        if self.colluders > borne:
            refuse(
                Alarm.TERMS,
                f"a threshold of {terms.threshold} of {len(terms.members)} platforms and sums over "
                f"{terms.quorum} bear {borne} colluding platforms, we ask for {self.colluders}",
                hint="agree on a higher threshold or a larger cohort",
            )

    def _require_members(self, terms: Terms) -> None:
        for name, key in terms.members:
            if name not in self.enrolled:
                refuse(Alarm.UNKNOWN_SENDER, f"{name!r} is in the cohort, but not enrolled")
            if self.enrolled[name] != key:
                refuse(Alarm.SWAPPED_KEY, f"the identity key of {name!r} is not the enrolled one")
        if terms.identity(self.name) != self.identity.public_key().public_bytes_raw():
            refuse(Alarm.SWAPPED_KEY, "the cohort has another identity key for this platform")
