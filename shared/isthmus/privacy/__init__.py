"""Differential privacy without a model: accounting, noise, planning and the one-run bound.

Nothing here knows torch, Flower or Opacus. A module is imported by its own name, where it is
needed: the accountants' library takes a second to load.
"""
