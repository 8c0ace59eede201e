"""Who is in a round: adverts that both sides check by the same rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from isthmus.secagg.alarms import Alarm, refuse
from isthmus.secagg.bodies import Advert
from isthmus.secagg.messages import Kind, Signed, require_place
from isthmus.secagg.terms import Terms


def verified(
    message: Signed, terms: Terms, kind: Kind, seen: bytes, among: Iterable[str]
) -> Signed:
    """A message that is a member's own, of this phase and of this history.

    Args:
        message: untrusted.
        terms: of the round.
        kind: the phase.
        seen: what the sender must have seen.
        among: who may speak in this phase.

    Raises:
        AggregationError: says what is wrong.
    """
    identity = terms.identity(message.sender)
    if message.sender not in among:
        refuse(Alarm.UNKNOWN_SENDER, f"{message.sender!r} is no longer in round {terms.round}")
    message.verify(identity)
    require_place(message, kind, terms.context, seen, f"the message of {message.sender!r}")
    return message


def advert_of(message: Signed, terms: Terms, model: bytes) -> Advert:
    """A member's advert, for the model that we have.

    Raises:
        AggregationError: it is another's, of another round, or for another model.
    """
    verified(message, terms, Kind.ADVERT, terms.context, terms.names)
    advert = Advert.from_bytes(message.body)
    if advert.model != model:
        refuse(
            Alarm.MODEL_DIFFERS,
            f"{message.sender!r} received the model {advert.model.hex()[:16]}, "
            f"we have {model.hex()[:16]}: the server sent two models in round {terms.round}",
            hint="do not go on with this server before the operator has explained it",
        )
    return advert


def require_own_keys(adverts: Mapping[str, Advert]) -> None:
    """Refuse a round in which a key occurs twice: who copies another's key is not its holder.

    Raises:
        AggregationError: names the second holder.
    """
    holders: dict[bytes, str] = {}
    for name, advert in adverts.items():
        for key in (advert.sealing, advert.masking):
            if key in holders:
                refuse(Alarm.SWAPPED_KEY, f"{name!r} has a key of {holders[key]!r}")
            holders[key] = name
