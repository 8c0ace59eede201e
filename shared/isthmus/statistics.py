"""Differences between two models on the same users, with their uncertainty.

Sources: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapters 13
(percentile interval) and 16 (test by shifting to the null); T. Sakai, Evaluating Evaluation
Metrics based on the Bootstrap (SIGIR 2006) for its use on paired ranking metrics; D. Schuirmann,
A Comparison of the Two One-Sided Tests Procedure and the Power Approach for Assessing the
Equivalence of Average Bioavailability (1987); S. Holm, A Simple Sequentially Rejective Multiple
Test Procedure (1979).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

_DRAWS_AT_ONCE = 1 << 21  # users drawn in one block: about 50 MB at the peak, whatever the sizes


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests of whether a candidate is as good as a baseline, up to a margin.

    Attributes:
        margin: difference that counts as none, relative to the baseline's mean.
        p_no_loss: of the hypothesis that the candidate loses the margin or more; in (0, 1].
        p_no_gain: of the hypothesis that it gains the margin or more; in (0, 1].
        users: paired users behind it.
    """

    margin: float
    p_no_loss: float
    p_no_gain: float
    users: int

    @property
    def p_value(self) -> float:
        """Of the hypothesis that the two differ by the margin or more, in either direction."""
        return max(self.p_no_loss, self.p_no_gain)

    def no_harm(self, alpha: float = 0.05) -> bool:
        """Whether it is shown that the candidate loses less than the margin; it may gain."""
        return self.p_no_loss <= alpha

    def equal(self, alpha: float = 0.05) -> bool:
        """Whether it is shown that the two differ by less than the margin, either way."""
        return self.p_value <= alpha


@dataclass(frozen=True)
class Difference:
    """Candidate minus baseline, averaged over users, with a bootstrap interval.

    Attributes:
        mean: of the per-user differences, in the metric's unit.
        low: lower end of the interval of `mean`.
        high: upper end of the interval of `mean`.
        relative: `mean` over the baseline's mean; None where that is 0.
        relative_low: lower end of the interval of `relative`; None where it has none, because
            resamples in which the baseline's mean is 0 reach the tail.
        relative_high: upper end of the interval of `relative`; None as above.
        users: paired users behind it.
        p_value: two-sided, of the hypothesis that the true mean difference is 0; in (0, 1].
    """

    mean: float
    low: float
    high: float
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    users: int
    p_value: float


def paired_bootstrap(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int,
) -> Difference:
    """The mean of `a - b` with its percentile interval under resampling of users.

    Users are drawn together with both of their values, so what makes a user easy or hard for
    both models cancels. Ends are taken outward to the next resample, and an interval that
    misses its own estimate (possible only at low `confidence`) is stretched to it: both err on
    the careful side.

    Args:
        a: the candidate's metric of each user, finite. (users,)
        b: the baseline's metric of the same users in the same order, finite. (users,)
        resamples: bootstrap resamples, at least 1.
        confidence: coverage of the interval, in (0, 1).
        seed: equal seeds give equal results.

    Raises:
        ValueError: other shapes, no users, values that are not finite, or a setting out of range.
    """
    candidate, baseline = _checked(a, b, resamples, confidence)
    gain = candidate - baseline
    means, bases = _resampled_means(gain, baseline, resamples, seed)
    mean, base = float(gain.mean()), float(baseline.mean())
    low, high = _interval(means, mean, confidence)
    # A baseline so near 0 that the ratio overflows is no yardstick either.
    relative = _finite(mean / base) if base else None
    relative_low, relative_high = _relative_interval(means, bases, relative, confidence)
    return Difference(
        mean=mean,
        low=low,
        high=high,
        relative=relative,
        relative_low=relative_low,
        relative_high=relative_high,
        users=int(gain.size),
        p_value=_p_value(means, mean),
    )


def equivalent(difference: Difference, margin: float) -> bool:
    """Whether the candidate is shown to lose no more than `margin` of the baseline.

    The lower of the two one-sided tests of Schuirmann (1987): the whole relative interval lies
    above `-margin`. A gain is never held against the candidate. Without a relative interval
    nothing is shown, and the answer is no, unless no user differs at all.

    Args:
        difference: candidate minus baseline.
        margin: loss that counts as none, relative to the baseline: 0.01 is one per cent.

    Raises:
        ValueError: `margin` is negative or not finite.
    """
    _check_margin(margin)
    if difference.low == difference.high == 0:
        return True
    return difference.relative_low is not None and difference.relative_low >= -margin


def equivalence(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    margin: float,
    resamples: int = 2000,
    seed: int,
) -> Equivalence:
    """Schuirmann's two one-sided tests (TOST) with the paired bootstrap.

    A margin relative to the baseline is a linear contrast of the two means: the candidate loses
    less than the margin where the mean of `a - (1 - margin) b` is above 0. Each contrast is tested
    by shifting its resampled means to 0, so that no ratio is formed and a baseline near 0 does no
    harm. Columns that are equal for every user are equivalent, however few the users.

    Args:
        a: the candidate's metric of each user, finite. (users,)
        b: the baseline's metric of the same users in the same order, finite. (users,)
        margin: relative to the baseline's mean: 0.01 is one per cent.
        resamples: bootstrap resamples, at least 1.
        seed: equal seeds give equal results.

    Raises:
        ValueError: other shapes, no users, values that are not finite, or a setting out of range.
    """
    _check_margin(margin)
    candidate, baseline = _checked(a, b, resamples, confidence=0.5)
    if (candidate == baseline).all():
        least = 1 / (resamples + 1)
        return Equivalence(margin, least, least, int(candidate.size))
    loss = candidate - (1 - margin) * baseline
    gain = (1 + margin) * baseline - candidate
    losses, gains = _resampled_means(loss, gain, resamples, seed)
    return Equivalence(
        margin=margin,
        p_no_loss=_one_sided(losses, float(loss.mean())),
        p_no_gain=_one_sided(gains, float(gain.mean())),
        users=int(candidate.size),
    )


def holm(p_values: npt.ArrayLike) -> Values:
    """P-values adjusted for the number of hypotheses, by Holm's step-down procedure. (tests,)

    Rejecting what is at most alpha afterwards keeps the chance of any false rejection at alpha,
    whatever the tests have to do with each other.

    Args:
        p_values: each in 0..1, in any order; the result keeps it. (tests,)

    Raises:
        ValueError: not one column of shares.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p-values are {values}, expected one column of shares")
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(values.size, 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _check_margin(margin: float) -> None:
    if not 0 <= margin < np.inf:
        raise ValueError(f"margin is {margin}, expected a finite number of at least 0")


def _checked(
    a: npt.ArrayLike, b: npt.ArrayLike, resamples: int, confidence: float
) -> tuple[Values, Values]:
    """Both columns as float64, or a ValueError that names what is wrong."""
    candidate = np.asarray(a, dtype=np.float64)
    baseline = np.asarray(b, dtype=np.float64)
    if candidate.ndim != 1 or candidate.shape != baseline.shape:
        raise ValueError(f"shapes {candidate.shape} and {baseline.shape}: expected one (users,)")
    if not candidate.size:
        raise ValueError("no users: a difference needs at least one")
    if not (np.isfinite(candidate).all() and np.isfinite(baseline).all()):
        raise ValueError("a user's metric is NaN or infinite")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}, expected at least 1")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, expected between 0 and 1")
    return candidate, baseline


def _resampled_means(
    gain: Values, baseline: Values, resamples: int, seed: int
) -> tuple[Values, Values]:
    """Means of both columns over the same drawn users. (resamples,), (resamples,)"""
    means, bases = np.empty(resamples), np.empty(resamples)
    start = 0
    for drawn in _draws(gain.size, resamples, seed):
        stop = start + len(drawn)
        means[start:stop] = gain[drawn].mean(axis=1)
        bases[start:stop] = baseline[drawn].mean(axis=1)
        start = stop
    return means, bases


def _draws(users: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Blocks of users drawn with replacement. (block, users)"""
    generator = np.random.default_rng(seed)
    block = max(1, _DRAWS_AT_ONCE // users)
    for start in range(0, resamples, block):
        yield generator.integers(users, size=(min(block, resamples - start), users))


def _interval(samples: Values, estimate: float, confidence: float) -> tuple[float, float]:
    """Percentile interval, ends taken outward, stretched to hold `estimate`."""
    tail = (1 - confidence) / 2
    low = float(np.quantile(samples, tail, method="lower"))
    high = float(np.quantile(samples, 1 - tail, method="higher"))
    return min(low, estimate), max(high, estimate)


def _relative_interval(
    means: Values, bases: Values, relative: float | None, confidence: float
) -> tuple[float | None, float | None]:
    """Interval of the ratio of means; an end that runs off to infinity is None."""
    if relative is None:
        return None, None
    # 0/0 says "no difference"; anything else over 0 has no bound.
    unbounded = np.where(means == 0, 0.0, np.copysign(np.inf, means))
    with np.errstate(over="ignore"):  # over a base of almost 0 the ratio has no bound either
        ratios = np.divide(means, bases, out=unbounded, where=bases != 0)
    low, high = _interval(ratios, relative, confidence)
    return _finite(low), _finite(high)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _p_value(means: Values, mean: float) -> float:
    """Share of resamples, shifted to the null, that are as far out as the estimate."""
    extreme = np.count_nonzero(np.abs(means - mean) >= abs(mean) - _slack(mean))
    return float((extreme + 1) / (means.size + 1))


def _one_sided(means: Values, mean: float) -> float:
    """Share of resamples, shifted to the null, that are as far up as the estimate."""
    extreme = np.count_nonzero(means - mean >= mean - _slack(mean))
    return float((extreme + 1) / (means.size + 1))


def _slack(mean: float) -> float:
    """Sums in another order differ in the last bits."""
    return 1e-12 * max(1.0, abs(mean))
