"""Isthmus: federated cross-platform transfer of e-commerce user behaviour (the ground floor)."""

from isthmus.errors import IsthmusError

__all__ = ["IsthmusError", "__version__"]

__version__ = "0.1.0"
