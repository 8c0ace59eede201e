"""Secure aggregation: the server learns the sum of the platforms' vectors, and nothing else.

Double masking with dropout recovery and a consistency check (Bonawitz et al., "Practical Secure
Aggregation for Privacy-Preserving Machine Learning", 2017), bound to one model, round and cohort.
Pure code: no clock, network or disk. See docs/secure-aggregation.md.
"""

from __future__ import annotations

from isthmus.secagg.alarms import Alarm
from isthmus.secagg.conversation import Conversation
from isthmus.secagg.server import Adverts, Agreements, Reveals, Shares, Vectors, opened
from isthmus.secagg.site import Site
from isthmus.secagg.terms import Terms, default_threshold
from isthmus.secagg.vectors import flattened, restored

__all__ = [
    "Adverts",
    "Agreements",
    "Alarm",
    "Conversation",
    "Reveals",
    "Shares",
    "Site",
    "Terms",
    "Vectors",
    "default_threshold",
    "flattened",
    "opened",
    "restored",
]
