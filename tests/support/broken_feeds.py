"""The corpus of broken feeds: one fault each, from a healthy platform."""

from __future__ import annotations

import broken_files
import broken_labels
import broken_rows
import broken_tables
import broken_times
import broken_values
from healthy_shop import FAULTS

MODULES = (
    broken_files,
    broken_rows,
    broken_times,
    broken_values,
    broken_labels,
    broken_tables,
)
"""Each adds its faults to `FAULTS` when it is imported."""

__all__ = ["FAULTS", "MODULES"]
