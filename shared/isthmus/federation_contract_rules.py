"""What the fields of a federation contract must be to each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from isthmus.encoder_config import tensor_shapes
from isthmus.messages import MAX_UPDATE_BYTES
from isthmus.plain_text import is_plain

if TYPE_CHECKING:
    from isthmus.federation_contract import FederationContract

LEAST_SECURE: Final = 3  # members of a run with secure aggregation; of two, each knows the other
MOST_SPARE: Final = 100  # rounds that are paid for besides twice those of the run
_LONGEST: Final = 200  # characters of any text
LEAST_SUMMED: Final = 2  # platforms in a secure sum; of one, the sum is its update

Problems = list[tuple[str, str]]
"""Fields, and what is wrong with each."""


def problems(contract: FederationContract) -> Problems:
    """All that does not fit together; nothing where the contract is good."""
    return (
        _text_problems(contract)
        + _shape_problems(contract)
        + _run_problems(contract)
        + _trust_problems(contract)
    )


def _text_problems(contract: FederationContract) -> Problems:
    """Signs that a person who reads the contract does not see, but whose terminal acts on."""
    texts = {
        "name": (contract.name,),
        "text_encoder": (contract.text_encoder,),
        "score": (contract.score,),
        "metrics": contract.metrics,
        "optimiser": _words(contract.optimiser),
        "aggregation": _words(contract.aggregation),
    }
    what = "has signs that cannot be seen, such as line breaks"
    found = [(name, what) for name, words in texts.items() if not all(map(is_plain, words))]
    long = [name for name, words in texts.items() if any(len(each) > _LONGEST for each in words)]
    return found + [(name, f"has a text of more than {_LONGEST} characters") for name in long]


def _words(knobs: Mapping[str, object]) -> tuple[str, ...]:
    """All text in a rule's name and knobs."""
    return (*knobs, *(each for each in knobs.values() if isinstance(each, str)))


def _shape_problems(contract: FederationContract) -> Problems:
    """What is wrong with the encoder or its tensors."""
    found: Problems = []
    encoder = contract.encoder
    bounds = {"content": 8192, "dim": 4096, "heads": 256, "expansion": 16, "max_events": 4096}
    for name, most in bounds.items():
        if not 1 <= getattr(encoder, name) <= most:
            found.append((f"encoder.{name}", f"is {getattr(encoder, name)}, must be 1 to {most}"))
    if not 0 <= encoder.layers <= 64:  # noqa: PLR2004 - far beyond what anybody federates
        found.append(("encoder.layers", f"is {encoder.layers}, must be 0 to 64"))
    if not (math.isfinite(encoder.prior_scale) and encoder.prior_scale > 0):
        found.append(("encoder.prior_scale", "must be finite and above 0"))
    if not 1 <= encoder.read <= encoder.content:
        what = f"is {encoder.adapter_width}, must be 1 to encoder.content"
        found.append(("encoder.adapter_width", what))
    if found:
        return found
    if encoder.dim % encoder.heads:
        found.append(("encoder.heads", f"{encoder.heads} do not divide dim {encoder.dim}"))
    if dict(contract.tensors) != tensor_shapes(encoder):
        found.append(("tensors", "are not those of the encoder"))
    if contract.bytes_up > MAX_UPDATE_BYTES:
        what = f"have {contract.bytes_up} bytes in an update, at most {MAX_UPDATE_BYTES} pass"
        found.append(("tensors", what))
    return found


def _run_problems(contract: FederationContract) -> Problems:
    """What does not fit together of the run and its members."""
    found: Problems = []
    members, plan = len(contract.members), contract.plan
    for name, value, wanted in (
        ("run_id", plan.run_id, contract.run),
        ("round", plan.round, 0),
        ("seed", plan.seed, contract.seed),
    ):
        if value != wanted:
            found.append((f"plan.{name}", f"is {value!r}, must be {wanted!r}, the contract's"))
    if len({member.signing for member in contract.members.values()}) != members:
        found.append(("members", "must not share an identity key"))
    if contract.secure and members < LEAST_SECURE:
        found.append(("members", f"are {members}, secure aggregation needs {LEAST_SECURE}"))
    least = LEAST_SUMMED if contract.secure else 1
    if not least <= contract.minimum <= members:
        found.append(("minimum", f"is {contract.minimum}, must be {least} to {members} members"))
    if contract.threshold and not members // 2 < contract.threshold <= members:
        bound = f"{members // 2 + 1} to {members} members, or 0"
        found.append(("threshold", f"is {contract.threshold}, must be {bound}"))
    if (contract.initial == "seed") != (contract.release_of == ""):
        found.append(("release_of", "must name a run exactly where `initial` is a release"))
    return found


def _trust_problems(contract: FederationContract) -> Problems:
    """What would make the privacy claim false, or a contract without one look private."""
    found: Problems = []
    trust, private = contract.trust, contract.trust != "none"
    if contract.plan.privacy != trust:
        found.append(("trust", f"is {trust}, but the plan's is {contract.plan.privacy}"))
    for name in ("epsilon", "delta"):
        value = getattr(contract, name)
        if (value > 0) != private:
            wanted = "above 0" if private else "0 without privacy"
            found.append((name, f"is {value}, must be {wanted}"))
    if private and contract.metrics:
        found.append(("metrics", "must be empty in a private run: they have no noise"))
    if private and contract.paid_rounds < contract.rounds:
        found.append(
            ("paid_rounds", f"is {contract.paid_rounds} rounds, must be {contract.rounds} or more")
        )
    if private and contract.paid_rounds > (most := 2 * contract.rounds + MOST_SPARE):
        found.append(("paid_rounds", f"is {contract.paid_rounds} rounds, must be {most} or less"))
    if not private and contract.paid_rounds:
        found.append(("paid_rounds", "must be 0 without privacy"))
    return found + (_pool_problems(contract) if trust == "pooled" else [])


def _pool_problems(contract: FederationContract) -> Problems:
    """Pooled noise protects only within a sum that holds all of it."""
    found: Problems = []
    members = len(contract.members)
    if not contract.secure:
        found.append(("secure", "must be on where noise is pooled: alone a share is too little"))
    if contract.minimum != members:
        found.append(("minimum", f"must be all {members} members where noise is pooled"))
    if contract.plan.shares != members - contract.colluders:
        wanted = f"{members} members less {contract.colluders} colluders"
        found.append(("plan.shares", f"is {contract.plan.shares}, must be {wanted}"))
    return found
