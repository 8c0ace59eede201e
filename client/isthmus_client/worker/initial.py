"""The parameters that a run starts from, worked out at the platform from its contract."""

from __future__ import annotations

from typing import Final

from isthmus.errors import MessageRefusedError
from isthmus.federation_contract import FederationContract
from isthmus.parameters import Shared
from isthmus_client.federated_trainer import initial_parameters

_SEED: Final = "seed"


def initial_of(contract: FederationContract) -> Shared:
    """Round 0 of an approved run, drawn from its seed.

    Guarantees:
        A function of the contract alone: no data of the platform go in.

    Raises:
        MessageRefusedError: the run starts from a release, which the server has.
    """
    if contract.initial != _SEED:
        raise MessageRefusedError(
            f"run {contract.run} starts from the release {contract.initial[:16]}..., of which the "
            "server asks the platforms nothing"
        )
    return initial_parameters(contract.encoder, contract.seed)
