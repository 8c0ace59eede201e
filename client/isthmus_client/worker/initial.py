"""The parameters that a run starts from: what its contract says, worked out at the platform."""

from __future__ import annotations

from typing import Final

from safetensors import SafetensorError
from safetensors.numpy import load

from isthmus.errors import DataInvalidError, DataMissingError, MessageRefusedError
from isthmus.federation_contract import FederationContract
from isthmus.parameters import Shared
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.home import Home
from isthmus_client.worker.releases import release_of

SEED: Final = "seed"
"""What a contract says that starts from its seed."""


def initial_of(home: Home, contract: FederationContract) -> Shared:
    """Round 0 of an approved run: drawn from its seed, or the release that it names.

    Guarantees:
        A function of the contract alone: no data of the platform go in.

    Raises:
        DataMissingError: the release is not there.
        DataInvalidError: it cannot be read.
    """
    if contract.initial == SEED:
        return initial_parameters(contract.encoder, contract.seed)
    found = release_of(home, contract.initial)
    if found is None:
        raise DataMissingError(
            f"the release {contract.initial[:16]}... that run {contract.run} starts from is not "
            f"in {home.federation / 'releases'}",
            hint="the node fetches it from the server after the run was approved",
        )
    try:
        return Shared(load(found.read_bytes()))
    except (OSError, SafetensorError, MessageRefusedError) as error:
        raise DataInvalidError(f"the release {found} cannot be read: {error}") from error
