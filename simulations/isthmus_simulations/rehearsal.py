"""A run's contract carried out in this process, on the very stores of the platforms that it names.

The functions are those of server and worker; only the transport is another one. It shows what a
deployment should come to, and what it costs beyond its computing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from isthmus.errors import ScenarioError
from isthmus.federation_contract import FederationContract
from isthmus_client.federated_trainer import FederatedTrainer, initial_parameters
from isthmus_client.home import Home
from isthmus_client.text_encoder import HuggingFaceEncoder
from isthmus_client.vault import load_keys
from isthmus_client.worker.own_data import OwnData
from isthmus_client.worker.trainers import plain_side
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.from_contract import server_config
from isthmus_server.history import RunResult
from isthmus_simulations.engines.platforms import FolderOutboxes
from isthmus_simulations.engines.runner import run_federation


def rehearse(
    contract: FederationContract, homes: Mapping[str, Home], out: Path, *, workers: int = 1
) -> RunResult:
    """Run a contract without privacy and without a network.

    Args:
        contract: as the server signed it; secure aggregation is left out, as it changes no sum.
        homes: of the platforms that it names, with their stores.
        out: folder of checkpoints and receipts.
        workers: platforms that work at the same time.

    Raises:
        ScenarioError: a platform's folder is missing, or the run is private: each time a private
            round is drawn, its noise is another.
        KeysError, StoreError: a store cannot be opened.
    """
    if contract.trust != "none":
        raise ScenarioError(f"run {contract.run} is private: its noise cannot be drawn again")
    if missing := sorted(contract.members.keys() - homes.keys()):
        raise ScenarioError(f"no folder is given for {', '.join(missing)}")
    names = sorted(contract.members)
    plain = contract.model_copy(update={"secure": False})
    return run_federation(
        "memory",
        server_config=server_config(plain),
        initial=initial_parameters(contract.encoder, contract.seed),
        store=CheckpointStore(out / "rounds"),
        outboxes=FolderOutboxes(out / "outbox"),
        trainers=[_trainer(contract, name, homes[name], out) for name in names],
        workers=workers,
    )


def _trainer(contract: FederationContract, name: str, home: Home, out: Path) -> FederatedTrainer:
    data = OwnData(home, name, load_keys(home.keys), HuggingFaceEncoder())
    workspace = data.workspace(contract.encoder)
    trainer = plain_side(workspace, contract.encoder, out / "outbox" / name).trainer
    assert isinstance(trainer, FederatedTrainer)
    return trainer
