"""The parameters that a run starts from: what its contract says, worked out at the platform."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from safetensors import SafetensorError
from safetensors.numpy import load

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.federation_contract import FederationContract
from isthmus.parameters import Shared
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.home import Home

SEED: Final = "seed"


def initial_of(home: Home, contract: FederationContract) -> Shared:
    """Round 0 of an approved run: drawn from its seed, or the release that it names.

    Guarantees:
        A function of the contract alone: no data of the platform go in.

    Raises:
        DataMissingError: the release is not there.
        DataInvalidError: it is another one than the contract names.
    """
    if contract.initial == SEED:
        return initial_parameters(contract.encoder, contract.seed)
    return _released(release_path(home, contract.initial), contract)


def release_path(home: Home, sha256: str) -> Path:
    """Where a release's encoder lies that was fetched."""
    return home.federation / "releases" / f"{sha256}.safetensors"


def _released(path: Path, contract: FederationContract) -> Shared:
    try:
        parameters = Shared(load(path.read_bytes()))
    except FileNotFoundError:
        raise DataMissingError(
            f"the release {contract.initial[:16]}... that run {contract.run} starts from is not "
            f"in {path.parent}",
            hint="it is fetched from the server by itself after the run was approved",
        ) from None
    except (OSError, SafetensorError) as error:
        raise DataInvalidError(f"the release {path} cannot be read: {error}") from error
    if parameters.fingerprint() != contract.initial:
        raise DataInvalidError(f"{path} is another release than run {contract.run} starts from")
    return parameters
