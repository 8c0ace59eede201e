"""Two models on one platform: difference, tests and a verdict in one of four words.

Tests lean against our own claims. A gain is claimed only after Holm's adjustment over all
platforms of the benchmark; a harm is called one without any adjustment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from isthmus.statistics import Difference, Equivalence, equivalence, holm, paired_bootstrap
from isthmus_simulations.transfer.facts import Values

MARGIN: Final = 0.01  # of the baseline's mean: what counts as no difference
ALPHA: Final = 0.05  # of every test
RESAMPLES: Final = 2000

Verdict = Literal["gains", "equal", "unclear", "harmed"]


def verdict(difference: Difference, tost: Equivalence, p_holm: float) -> Verdict:
    """What may be said of a candidate against a baseline.

    `equal`: the two one-sided tests show that they differ by less than the margin, whichever is
    ahead. `gains`: ahead, and the adjusted p-value is at most alpha. `harmed`: behind, and the
    p-value is at most alpha even unadjusted. `unclear`: none of these.

    Args:
        p_holm: the difference's two-sided p-value, adjusted over all platforms.
    """
    if tost.equal(ALPHA):
        return "equal"
    if difference.mean > 0 and p_holm <= ALPHA:
        return "gains"
    if difference.mean < 0 and difference.p_value <= ALPHA:
        return "harmed"
    return "unclear"


def compare(candidate: Values, baseline: Values, *, seed: int) -> tuple[Difference, Equivalence]:
    """Both tests over the same users."""
    difference = paired_bootstrap(candidate, baseline, resamples=RESAMPLES, seed=seed)
    tost = equivalence(candidate, baseline, margin=MARGIN, resamples=RESAMPLES, seed=seed)
    return difference, tost


def verdicts(
    found: Sequence[tuple[Difference, Equivalence]],
) -> list[tuple[float, Verdict]]:
    """The adjusted p-value and the verdict of every platform, for one comparison.

    Args:
        found: the same comparison on every platform of the benchmark.
    """
    adjusted = holm([difference.p_value for difference, _ in found])
    return [
        (float(p), verdict(difference, tost, float(p)))
        for (difference, tost), p in zip(found, adjusted, strict=True)
    ]
