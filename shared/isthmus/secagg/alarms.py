"""What secure aggregation refuses, and under which name an operator reads it."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn

from isthmus.errors import AggregationError


class Alarm(StrEnum):
    """Why a message or a round was refused; the value is stable and fit for logs and metrics."""

    BAD_KEY = "bad_key"  # a public key with which no secret can be agreed
    BAD_SHARE = "bad_share"  # a share that does not open, or does not give the announced secret
    BAD_SIGNATURE = "bad_signature"  # altered, or signed by somebody else
    BAD_VECTOR = "bad_vector"  # wrong length or type
    BOTH_SHARES = "both_shares"  # a platform called dropped and survivor at the same time
    DUPLICATE = "duplicate"  # a sender's second message of a phase
    MALFORMED = "malformed"  # bytes that are no message, or not in the one canonical form
    MODEL_DIFFERS = "model_differs"  # not all platforms of a round received the same model or plan
    ORDER = "order"  # a message of another phase
    OVERSIZE = "oversize"  # a cohort, vector or field above its bound
    REPLAY = "replay"  # a message of another run, round, attempt or cohort
    SURVIVORS_DIFFER = "survivors_differ"  # platforms were told different survivors
    SWAPPED_KEY = "swapped_key"  # a key that is not its platform's
    TERMS = "terms"  # a round that the platform did not agree to
    TOO_FEW = "too_few"  # below the threshold or the minimum cohort
    UNKNOWN_SENDER = "unknown_sender"  # no member of the cohort or of the phase
    VIEW_DIFFERS = "view_differs"  # the other side has seen another history of this round


def refuse(alarm: Alarm, message: str, *, hint: str = "") -> NoReturn:
    """Refuse a message or a round.

    Raises:
        AggregationError: always; no cause is chained, as a library's may tell what was decrypted.
    """
    raise AggregationError(message, alarm=alarm, hint=hint) from None
