"""What was done about a person, and what is still owed, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from isthmus_client.forgetting.owed import Owed, Run, Spent

_PLACES: Final = 4  # of a probability that is shown

_LEDGER_UNREADABLE: Final = (
    "The privacy ledger cannot be read, so that what private rounds cost this person is not known: "
    "put its newest untouched copy back, then ask `isthmus client privacy show`."
)
_ALL_RUNS: Final = (
    "Private rounds, of all runs in the platform's ledger, which cannot tell persons apart: {runs}."
)
_PROMISE: Final = (
    "For data set {data} all that was charged is differentially private for a {unit}: epsilon "
    "{epsilon} at delta {delta} if the rounds were fixed beforehand, epsilon {budget} however they "
    "were chosen. Who sees all of that, and without it would toss a coin on whether this person "
    "took part, is right with a probability of at most {planned}, or {ever}. That holds with the "
    "person in the training: to keep it nothing must be trained anew."
)
_CHARGED: Final = "What was charged stays charged: a person who goes gives no budget back."
_OUTBOX_UNREADABLE: Final = (
    "The outbox's receipts were altered or cannot be read: whether rounds without privacy left is "
    "not known."
)
_OTHERS: Final = (
    "None of the outbox's receipts is in this platform's name: whether it sent rounds without "
    "privacy is not known."
)
_UNBOUNDED: Final = (
    "Rounds without privacy: {runs}. What they took from this person has no bound. Owed: train the "
    "releases of these runs anew without this person, and withdraw those that are out; the "
    "federation's operator must be told. What left cannot be called back."
)
_FITTED: Final = (
    "Private models that were fitted with this person in the store: {heads}. Owed: fit them anew "
    "and delete these."
)


def statements(owed: Owed) -> tuple[str, ...]:
    """What is owed and what is not, one sentence or a few for each kind of trace."""
    return (
        *_private(owed),
        _unprotected(owed),
        *_figures(owed),
        _heads(owed.heads),
        "Not reached from here: the platform's own tables, backups, reports, and copies elsewhere.",
    )


def _private(owed: Owed) -> list[str]:
    if owed.ledger == "absent":
        return ["There is no privacy ledger: no private round is on record."]
    if owed.ledger == "unreadable":
        return [_LEDGER_UNREADABLE]
    if not owed.private:
        return ["The privacy ledger holds no charged round: nothing private left."]
    return [_ALL_RUNS.format(runs=_runs(owed.private)), *map(_spent, owed.spent), _CHARGED]


def _spent(spent: Spent) -> str:
    """What epsilon and delta promise one person."""
    return _PROMISE.format(
        data=spent.data_set,
        unit=spent.unit,
        delta=f"{spent.delta:.3g}",
        epsilon=f"{spent.epsilon:.4g}",
        budget=f"{spent.budget:.4g}",
        planned=f"{certainty(spent.epsilon, spent.delta):g}",
        ever=f"{certainty(spent.budget, spent.delta):g}",
    )


def certainty(epsilon: float, delta: float) -> float:
    """Largest probability of a right guess whether a person took part, from even odds; rounded up.

    (e^epsilon + delta) / (e^epsilon + 1): no test of an (epsilon, delta)-DP release does better
    (Kairouz, Oh and Viswanath, The Composition Theorem for Differential Privacy, ICML 2015).
    """
    exact = 1 - (1 - delta) / (1 + math.exp(min(epsilon, 700.0)))  # exp(710) overflows
    return min(1.0, math.ceil(exact * 10**_PLACES) / 10**_PLACES)


def _unprotected(owed: Owed) -> str:
    if owed.outbox == "absent":
        return "The outbox's receipts were not named: rounds without privacy were not looked for."
    if owed.outbox == "unreadable":
        return _OUTBOX_UNREADABLE
    if owed.outbox == "others":
        return _OTHERS
    if not owed.unprotected:
        return "No update of the platform left without privacy."
    return _UNBOUNDED.format(runs=_runs(owed.unprotected))


def _figures(owed: Owed) -> list[str]:
    if not owed.figures:
        return []
    return [
        f"Evaluation figures over many users left {counted(owed.figures, 'time')} without noise."
    ]


def _heads(heads: Sequence[str]) -> str:
    return _FITTED.format(heads=", ".join(heads)) if heads else "No private model lies in heads/."


def _runs(runs: Sequence[Run]) -> str:
    """Such as `r1 (20 rounds, 2026-01-02T10:00:00Z to 2026-01-03T11:00:00Z)`."""
    return "; ".join(
        f"{each.run} ({counted(each.rounds, 'round')}, {each.first} to {each.last})"
        for each in runs
    )


def rows_in_words(rows: Mapping[str, int]) -> str:
    """Such as `12 rows of events, 1 row of redemptions`."""
    named = (f"{counted(count, 'row')} of {table}" for table, count in rows.items())
    return ", ".join(named) or "nothing"


def counted(number: int, what: str) -> str:
    """Such as `1 row` and `1,200 rows`."""
    return f"{number:,} {what}" + "s" * (number != 1)
