"""Steps that every update passes on its way out: the seam for privacy mechanisms.

An update goes through a list of postprocessors in order. `NoPrivacy` has the same face as a
mechanism, so that no code asks "is privacy on?".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from isthmus.messages import RoundPlan
from isthmus.parameters import Shared


class Postprocessor(Protocol):
    """One step between local training and the outbox."""

    @property
    def name(self) -> str:
        """A short name for receipts and reports."""
        ...

    @property
    def statement(self) -> str:
        """What may be claimed of an update that passed this step; shown in every report."""
        ...

    def __call__(self, update: Shared, plan: RoundPlan) -> Shared:
        """The update to hand on; never the argument changed in place."""
        ...


@dataclass(frozen=True)
class NoPrivacy:
    """Hands the update on as it is.

    Guarantees:
        None. The update is a deterministic function of the users' raw histories.
    """

    name: str = "no-privacy"
    statement: str = "NOT PRIVATE: no clipping, no noise, no differential-privacy guarantee"

    def __call__(self, update: Shared, plan: RoundPlan) -> Shared:  # noqa: ARG002 - the seam's face
        """The same update."""
        return update


def postprocess(update: Shared, plan: RoundPlan, steps: Sequence[Postprocessor]) -> Shared:
    """The update after every step in order."""
    for step in steps:
        update = step(update, plan)
    return update
