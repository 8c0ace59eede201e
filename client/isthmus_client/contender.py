"""A fitted model that can rank a platform's catalogue, whatever is inside it.

Baselines, federated models and mixtures of both are compared through this one seam: the gate, the
simulation's report and the transfer benchmark know nothing else about a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from isthmus_client.ranking import Scorer, Window


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried while a contender was tuned.

    Attributes:
        settings: the configuration as plain values, for the published grid.
        ndcg: NDCG@10 of the tuning users; None where a platform has none.
        seconds: process time that fitting and judging it took.
    """

    settings: Mapping[str, float | int | str]
    ndcg: float | None
    seconds: float


@dataclass(frozen=True)
class Contender:
    """A model after fitting and tuning on the training and validation windows alone.

    Attributes:
        name: as in results and reports.
        scorer: the scores of a window's users, known by all that came before the window.
        trials: every configuration tried, in order.
        chosen: place in `trials` of the configuration that is ranked.
        seconds: process time of all fitting and tuning.
    """

    name: str
    scorer: Callable[[Window], Scorer]
    trials: tuple[Trial, ...] = ()
    chosen: int = 0
    seconds: float = 0.0


def best_trial(trials: tuple[Trial, ...]) -> int:
    """Place of the trial with the best tuning quality; the first of equals, 0 without any."""
    scores = [-1.0 if trial.ndcg is None else trial.ndcg for trial in trials]
    return max(range(len(scores)), key=scores.__getitem__, default=0)
