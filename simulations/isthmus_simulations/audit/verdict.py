"""From scores to a verdict: the bound on each platform, next to the claim."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from isthmus.errors import AuditError
from isthmus.privacy.accounting import epsilon
from isthmus.privacy.events import Event
from isthmus.privacy.one_run import Guesses, ceiling, guess, lower_bound, p_value
from isthmus_client.dp.canaries import Watch
from isthmus_simulations.audit.records import Claim, claim_path, read_watch

CONFIDENCE: Final = 0.95  # that no platform's bound is above its true epsilon, all together
_ROUNDING: Final = 1e-3  # relative: a claim is often written with few digits


@dataclass(frozen=True)
class Bound:
    """What the attack on one platform's canaries shows.

    Attributes:
        platform: its name.
        guesses: canaries, coins guessed, guessed right.
        epsilon: lower bound; the run is not (less than this, delta)-DP.
        ceiling: the bound if every guess were right: a claim above it cannot be disproved.
        p_value: the chance, at most, of so many right guesses under the claim; None without one.
        confidence: of this bound by itself; above that of all platforms' bounds together.
    """

    platform: str
    guesses: Guesses
    epsilon: float
    ceiling: float
    p_value: float | None
    confidence: float


@dataclass(frozen=True)
class Audit:
    """A run's claim and what an attack and the accountant make of it.

    Attributes:
        accounted: epsilon of the claimed schedule by the accountant; None without privacy.
        confidence: that no bound is above the true epsilon, all platforms together.
    """

    claim: Claim
    bounds: tuple[Bound, ...]
    accounted: float | None
    confidence: float

    @property
    def consistent(self) -> bool:
        """Whether neither attack nor accountant contradicts the claim."""
        return not contradictions(self.claim, *self.bounds) and not self.misaccounted

    @property
    def misaccounted(self) -> bool:
        """Whether the claimed schedule costs more than the claimed epsilon."""
        claimed = self.claim.epsilon
        if claimed is None or self.accounted is None:
            return False
        return self.accounted > claimed * (1 + _ROUNDING)

    def require_consistent(self) -> None:
        """Let a release pass only where nothing contradicts its claim.

        Raises:
            AuditError: names the platforms or the schedule, with the figures.
        """
        require_consistent(self.claim, *self.bounds)
        if self.misaccounted:
            raise AuditError(
                f"epsilon {self.claim.epsilon} is claimed, but the schedule costs "
                f"{self.accounted:.4g}: {schedule(self.claim)}",
                hint="nothing may be released under this claim; claim what the schedule costs",
            )


def audit_run(run: Path, *, confidence: float = CONFIDENCE) -> Audit:
    """Attack every platform's canaries with the scores that the run left.

    Args:
        run: the run's folder.
        confidence: that none of the bounds is above its platform's epsilon.

    Guarantees:
        If each platform's claim holds, `consistent` is False with a chance of `1 - confidence` at
        most. What is guessed, and how many coins, is fixed before the scores are seen.

    Raises:
        DataMissingError, DataInvalidError: the records are not there, or damaged.
    """
    claim = Claim.load(claim_path(run))
    alone = 1 - (1 - confidence) / len(claim.platforms)  # Bonferroni
    bounds = [
        bound_of(claim, name, read_watch(run, name), confidence=alone) for name in claim.platforms
    ]
    return Audit(claim, tuple(bounds), _accounted(claim), confidence)


def bound_of(claim: Claim, platform: str, watch: Watch, *, confidence: float) -> Bound:
    """What the scores show about one platform."""
    found = guess(watch.scores, watch.canaries.included)
    delta = claim.delta
    return Bound(
        platform=platform,
        guesses=found,
        epsilon=lower_bound(found, delta=delta, confidence=confidence),
        ceiling=ceiling(found.canaries, found.guessed, delta=delta, confidence=confidence),
        p_value=None if claim.epsilon is None else p_value(found, claim.epsilon, delta),
        confidence=confidence,
    )


def contradictions(claim: Claim, *bounds: Bound) -> list[Bound]:
    """Bounds above the claim; without a claim there is nothing to contradict."""
    if claim.epsilon is None:
        return []
    return [bound for bound in bounds if bound.epsilon > claim.epsilon]


def require_consistent(claim: Claim, *bounds: Bound) -> None:
    """The gate of a release: nothing leaves under a claim that an attack has disproved.

    Guarantees:
        Returns only if every bound is at most the claimed epsilon, or nothing is claimed.

    Raises:
        AuditError: names every platform whose users' epsilon is above the claim.
    """
    if odd := contradictions(claim, *bounds):
        found = "; ".join(
            f"{b.platform} at least {b.epsilon:.3g} ({b.guesses.correct} of {b.guesses.guessed} "
            f"guesses right, confidence {b.confidence:.6g})"
            for b in odd
        )
        raise AuditError(
            f"epsilon {claim.epsilon} is claimed, an attack shows more: {found}",
            hint="do not release: noise, clipping or sampling do not do what the claim says; "
            "see docs/privacy-audit.md",
        )


def schedule(claim: Claim) -> str:
    """The schedule behind a claim, in words."""
    if claim.epsilon is None:
        return f"{claim.rounds} rounds without privacy"
    return (
        f"{claim.rounds} rounds, each user with probability {claim.sampling_rate:.4g}, "
        f"noise of {claim.noise_multiplier:.4g} clipping norms"
    )


def _accounted(claim: Claim) -> float | None:
    """The accountant's epsilon of the claimed schedule."""
    if claim.sampling_rate is None or claim.noise_multiplier is None:
        return None
    if not claim.rounds:
        return 0.0
    event = Event(claim.noise_multiplier, claim.sampling_rate, claim.rounds)
    return epsilon([event], claim.delta)
