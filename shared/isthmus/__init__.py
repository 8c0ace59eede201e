"""Isthmus: federated cross-platform transfer of e-commerce user behaviour (the ground floor)."""

__version__ = "0.1.0"
