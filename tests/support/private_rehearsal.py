"""A private run's contract carried out in this process, with noise of a test's own source.

The functions are those of server and worker; secure aggregation is left out, as it changes no sum.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from isthmus.federation_contract import FederationContract
from isthmus.parameters import Shared
from isthmus.privacy.randomness import SecureSource
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.home import Home
from isthmus_client.text_encoder import HuggingFaceEncoder
from isthmus_client.vault import load_keys
from isthmus_client.worker.own_data import OwnData
from isthmus_client.worker.sides import DATA_KEY
from isthmus_client.worker.trainers import Account, Side, private_member, private_side
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.from_contract import server_config
from isthmus_simulations.engines.runner import run_federation


def rehearsed(
    contract: FederationContract,
    homes: Mapping[str, Home],
    out: Path,
    source_of: Callable[[str], SecureSource],
) -> Shared:
    """What the run comes to."""
    sides = {name: _side(contract, name, homes[name], out, source_of(name)) for name in homes}
    try:
        return run_federation(
            "memory",
            server_config=server_config(contract.model_copy(update={"secure": False})),
            initial=initial_parameters(contract.encoder, contract.seed),
            store=CheckpointStore(out / "rounds"),
            outboxes=lambda name: sides[name].outbox,
            trainers=[side.trainer for side in sides.values()],
            workers=1,
        ).final
    finally:
        for side in sides.values():
            side.close()


def _side(
    contract: FederationContract, name: str, home: Home, out: Path, source: SecureSource
) -> Side:
    data = OwnData(home, name, load_keys(home.keys), HuggingFaceEncoder())
    folder = out / name
    member = private_member(
        data.workspace(contract.encoder),
        contract.encoder,
        Account(
            folder / "ledger.sqlite",
            contract.epsilon,
            contract.delta,
            DATA_KEY,
            folder / "sent",
            folder / "receipts.jsonl",
        ),
        users=contract.members[name].users,
        shares=contract.plan.shares,
        source=source,
    )
    member.charge.register(replace(contract.plan, round=1), contract.paid_rounds)
    return private_side(member)
