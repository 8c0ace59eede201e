"""What can go wrong between the coordinator and the SuperLink."""

from __future__ import annotations

from isthmus.errors import FederationError


class RunGoneError(FederationError):
    """Flower has ended its run, or never knew it: a new one has to be opened."""


class InterruptedWaitError(FederationError):
    """The operator wants something else than what is being waited for."""
