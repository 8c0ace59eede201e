"""Steps that every update passes on its way out: the seam for privacy mechanisms.

An update goes through a list of postprocessors in order. `NoPrivacy` has the same face as a
mechanism, so that no code asks "is privacy on?".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from isthmus.errors import OutboxError
from isthmus.messages import RoundPlan
from isthmus.parameters import GridSum, Shared


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

    def __call__(self, update: Shared, plan: RoundPlan) -> Shared | GridSum:
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


def postprocess(
    update: Shared, plan: RoundPlan, steps: Sequence[Postprocessor]
) -> Shared | GridSum:
    """The update after every step in order.

    Raises:
        OutboxError: a step follows one that put the update on the grid, where none may.
    """
    found: Shared | GridSum = update
    for step in steps:
        if isinstance(found, GridSum):
            raise OutboxError(f"{step.name} would come after the noise, on the grid")
        found = step(found, plan)
    return found
