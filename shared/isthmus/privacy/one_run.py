"""A lower bound of epsilon from one run: what an attacker's guesses about canaries disprove.

Source: T. Steinke, M. Nasr and M. Jagielski, Privacy Auditing with One (1) Training Run (NeurIPS
2023), theorem 5.2 and appendix D. Each of `m` canaries is in the run or not by a fair coin of its
own; an attacker sees what the run published, guesses `r` of the coins and abstains on the rest. If
the run is (epsilon, delta)-differentially private under adding or removing one canary, then for
every v

    P[v or more right] <= P[W >= v] + 2 m delta max_i P[v > W >= v - i] / i,

where W is binomial with `r` trials and success rate e^epsilon / (1 + e^epsilon): nobody guesses
better than epsilon-DP randomised response, up to delta. Whoever did guess better disproves epsilon.

Guarantees: if a run is (epsilon, delta)-DP, `lower_bound` exceeds epsilon with a chance of at most
`1 - confidence` over the coins and the run's noise, whatever the scores are made of. A bound is
evidence against a claim. It is never a proof of one: a weak attack gives a low bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

Scores = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

GUESSED_SHARE: Final = 0.2
"""Share of the canaries whose coins are guessed. Published and the same for every run: choosing it
by the best bound would void the confidence. In simulations of a Gaussian attack with 1 000 canaries
it came within 10 % of the best share wherever the bound was above 0.5."""

_HIGHEST: Final = 200.0  # epsilon; e^-200 is beyond what any number of guesses can tell


@dataclass(frozen=True)
class Guesses:
    """What an attacker got right.

    Attributes:
        canaries: coins tossed, m.
        guessed: coins guessed, r; the attacker abstained on the others.
        correct: right guesses, v.

    Raises:
        ValueError: not 0 <= correct <= guessed <= canaries.
    """

    canaries: int
    guessed: int
    correct: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.guessed <= self.canaries:
            raise ValueError(
                f"{self.correct} right of {self.guessed} guesses about {self.canaries} canaries: "
                "expected 0 <= correct <= guessed <= canaries"
            )


def guess(scores: Scores, included: Bools, *, share: float = GUESSED_SHARE) -> Guesses:
    """Guess "in" for the highest scores and "out" for the lowest, and count what is right.

    Half of the guesses are of either kind, rounded down. Equal scores are told apart by their place
    alone, which knows nothing of the coins.

    Args:
        scores: higher = more likely in the run; any function of what was published. (canaries,)
        included: the coins. (canaries,)
        share: of the canaries to guess, in (0, 1]; fixed before the scores are seen.

    Raises:
        ValueError: other shapes, a score that is not finite, or a share out of range.
    """
    _check_scores(scores, included, share)
    half = math.floor(share * scores.size / 2)
    order = np.argsort(scores, kind="stable")
    lowest, highest = order[:half], order[scores.size - half :]
    correct = np.count_nonzero(~included[lowest]) + np.count_nonzero(included[highest])
    return Guesses(scores.size, 2 * half, int(correct))


def p_value(guesses: Guesses, epsilon: float, delta: float) -> float:
    """The chance of so many right guesses, or more, at most, if the run were (epsilon, delta)-DP.

    Args:
        epsilon: of the hypothesis, at least 0.
        delta: of the hypothesis, in [0, 1).

    Raises:
        ValueError: epsilon or delta out of range.
    """
    _check_hypothesis(epsilon, delta)
    right, trials = guesses.correct, guesses.guessed
    rate = special.expit(epsilon)  # e^epsilon / (1 + e^epsilon)
    tail = stats.binom.sf(right - 1, trials, rate)  # P[W >= v]
    steps = np.arange(1, right + 1)  # i; beyond v nothing is added while the divisor grows
    below = np.cumsum(stats.binom.pmf(right - steps, trials, rate))  # P[v > W >= v - i]
    excess = 2 * guesses.canaries * delta * (below / steps).max(initial=0.0)
    return float(min(tail + excess, 1.0))


def lower_bound(guesses: Guesses, *, delta: float, confidence: float = 0.95) -> float:
    """The largest epsilon that the guesses disprove; 0 where they disprove nothing.

    The p-value cannot fall while epsilon grows, as long as 2 m delta <= 1: it is a maximum over i
    of tail + c / i * P[v > W >= v - i] with c = 2 m delta, and in the success rate the tail grows
    by r P[W' = v - 1] (W' has one trial less) while the other probability falls by no more than
    that. So the hypotheses that are rejected are an interval from 0 on. For a larger delta the
    bound is 0.

    Args:
        delta: of the claim, in [0, 1).
        confidence: that the run's epsilon is not below the bound, in (0, 1).

    Raises:
        ValueError: delta or confidence out of range.
    """
    _check_hypothesis(0.0, delta)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, expected between 0 and 1")
    allowed = 1 - confidence

    def short(epsilon: float) -> float:
        """Below 0 where epsilon is disproved."""
        return p_value(guesses, epsilon, delta) - allowed

    if 2 * guesses.canaries * delta > 1 or short(0.0) >= 0:
        return 0.0
    found = float(optimize.bisect(short, 0.0, _HIGHEST, xtol=1e-9))
    return max(found - 1e-8, 0.0)  # below the root whichever side the search ended on


def ceiling(canaries: int, guessed: int, *, delta: float, confidence: float = 0.95) -> float:
    """The bound if every guess were right: no attack with so many guesses can show more.

    A claim above it cannot be disproved by this audit, and a report has to say so.
    """
    everything = Guesses(canaries, guessed, guessed)
    return lower_bound(everything, delta=delta, confidence=confidence)


def _check_scores(scores: Scores, included: Bools, share: float) -> None:
    if scores.ndim != 1 or scores.shape != included.shape:
        raise ValueError(f"shapes {scores.shape} and {included.shape}: expected one (canaries,)")
    if not np.isfinite(scores).all():
        raise ValueError("a canary's score is NaN or infinite")
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}, expected above 0 and at most 1")


def _check_hypothesis(epsilon: float, delta: float) -> None:
    if not 0 <= epsilon < math.inf:
        raise ValueError(f"epsilon is {epsilon}, expected a finite number of at least 0")
    if not 0 <= delta < 1:
        raise ValueError(f"delta is {delta}, expected at least 0 and below 1")
