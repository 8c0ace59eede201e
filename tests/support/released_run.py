"""A server with a run of two committed rounds, as the coordinator leaves it."""

from dataclasses import asdict

import numpy as np
from contract_cases import plain_contract

from isthmus.federation_contract_signing import sign_contract
from isthmus.identity import load_signing_key
from isthmus.messages import Update
from isthmus.parameters import Shared
from isthmus_server import rounds
from isthmus_server.checkpoints import CheckpointStore
from isthmus_server.from_contract import server_config
from isthmus_server.new_server import create_server
from isthmus_server.server_home import ServerHome
from isthmus_server.settings import Settings

RUN = "spring"


def made_server(folder, database=""):
    """A server's folder."""
    home = ServerHome(folder)
    create_server(home, Settings(database=database))
    return home


def commit_rounds(home, state, count=2):
    """A run, its checkpoints, and its rows."""
    contract = plain_contract(run=RUN)
    key = load_signing_key(home.identity / "signing.key")
    state.runs.propose(
        RUN,
        contract=contract.to_bytes(),
        contract_sha256=contract.sha256,
        signature=sign_contract(contract, key),
    )
    config = server_config(contract)
    initial = Shared({n: np.ones(s, np.float32) for n, s in contract.tensors.items()})
    store, found = CheckpointStore(home.rounds(RUN)), rounds.start(config, initial)
    store.save(config, initial, found)
    for number in range(1, count + 1):
        found = one_round(config, found, number)
        store.save(config, initial, found)
        last = found.history[-1]
        record = {"platforms": sorted(last.platforms)}
        values = {"record": record, "fingerprint": last.fingerprint, "seconds": last.seconds}
        state.rounds.commit(RUN, number, 1, **values)
    return contract


def one_round(config, found, number):
    """The state after one more round in which all move by the same."""
    found = rounds.configure(config, found, ["anvil", "bellows"])
    base = rounds.fingerprint(found)
    delta = Shared({n: t * 0 + np.float32(0.1) for n, t in found.parameters.tensors.items()})
    for name in ("anvil", "bellows"):
        update = Update(name, number, delta, 3, base, {})
        found = rounds.receive(found, name, update, 9)
    found = rounds.optimise(config, rounds.aggregate(config, found))
    return rounds.commit(config, found, seconds=0.5, bytes_down={})


def config_values(contract):
    """The encoder's shapes, as a release names them."""
    return asdict(contract.encoder)
