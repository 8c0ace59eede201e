"""Hash-chained, signed logs that two sides anchor in each other.

A line holds the hash of the line before it and its own, and its writer's signature. To change,
drop, add or move a line breaks the chain there; to cut lines off the end shows against the log of
another side, which holds how far this one had come.
"""

from __future__ import annotations

from isthmus.audit_log.check import (
    LogCheck,
    anchor_line,
    anchors_in,
    verify_log,
    whole_lines,
)
from isthmus.audit_log.lines import ROOT
from isthmus.audit_log.log import Anchor, AuditLog

__all__ = [
    "ROOT",
    "Anchor",
    "AuditLog",
    "LogCheck",
    "anchor_line",
    "anchors_in",
    "verify_log",
    "whole_lines",
]
