"""Differentially private training at a platform: sampling users, clipping, summing.

What comes out here is still private: noise is added by `isthmus.privacy.grid` afterwards.
"""

from isthmus_client.dp.clipping import ClippedSum
from isthmus_client.dp.engine import clipped_sum, clipped_sum_of
from isthmus_client.dp.sampling import PoissonSample, micro_batches, poisson_sample

__all__ = [
    "ClippedSum",
    "PoissonSample",
    "clipped_sum",
    "clipped_sum_of",
    "micro_batches",
    "poisson_sample",
]
