"""A bound on updates that training never comes near: beyond it a model is lost.

It protects the run, not its quality: `isthmus_server.robust` has rules for updates that do harm.
"""

from __future__ import annotations

from typing import Final

from isthmus.errors import MessageRefusedError
from isthmus.messages import RoundPlan
from isthmus.parameters import Shared

_TIMES: Final = 1e3  # the parameters' norm, and 1
_TIMES_NOISED: Final = 1e6  # where noise may drown what was learned


def require_plausible(plan: RoundPlan, base: Shared, delta: Shared) -> None:
    """Refuse an update after which nobody could train on: the mean follows the largest.

    Args:
        plan: the round's.
        base: the round's parameters.
        delta: finite, of their shapes.

    Raises:
        MessageRefusedError: names both norms.
    """
    most = (_TIMES_NOISED if plan.private else _TIMES) * (1 + base.norm())
    if (norm := delta.norm()) > most:
        raise MessageRefusedError(f"the update's norm is {norm:.3g}, at most {most:.3g} is taken")
