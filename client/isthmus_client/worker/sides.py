"""The platform's side of each approved run: made when its first message comes, and kept warm."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.clientapp import ClientApp

from isthmus.federation_contract import FederationContract
from isthmus.federation_contract_claim import require_delta
from isthmus.secagg import Site
from isthmus_client.app import build_client_app
from isthmus_client.approvals import approved
from isthmus_client.home import Home
from isthmus_client.ledger import Key
from isthmus_client.secure_side import Attendance, Seat
from isthmus_client.worker.own_data import OwnData
from isthmus_client.worker.published import publish
from isthmus_client.worker.trainers import Account, Side, plain_side, private_member, private_side
from isthmus_client.workspace import Workspace

LEDGER: Final = "ledger.sqlite"
AUDIT: Final = "audit.jsonl"
SENT: Final = "sent"
ATTENDANCE: Final = "rounds.json"
DATA_KEY: Final = Key("platform")
"""Whose privacy is spent: a ledger is of one platform, whatever name or keys it has."""


@dataclass(frozen=True)
class Owner:
    """Whose sides they are.

    Attributes:
        name: under which the platform joined.
        signing: its identity key.
    """

    home: Home
    name: str
    signing: Ed25519PrivateKey


BuildApp = Callable[[Owner, Side, FederationContract], ClientApp]
"""Makes the Flower app that answers a run's messages."""


@dataclass(frozen=True)
class WarmSide:
    """A run's side, and what it was made of."""

    contract: FederationContract
    generation: int
    side: Side
    app: ClientApp


class Sides:
    """One platform's sides by run.

    Args:
        owner: whose they are.
        data: what is trained on.
        build: makes the app of a side.

    Guarantees:
        Nothing of a run that the platform has not approved is computed, read or kept; a refusal
        counts from the next message on.
    """

    def __init__(self, owner: Owner, data: OwnData, build: BuildApp) -> None:
        self._owner, self._data, self._build = owner, data, build
        self._warm: dict[str, WarmSide] = {}
        self._lock = threading.RLock()

    def agreed(self, run: str) -> FederationContract:
        """The contract of a run, if the platform approved it.

        Raises:
            NotApprovedError: it did not.
            IdentityError: a signature is wrong.
        """
        return approved(self._owner.home, run)

    def of(self, contract: FederationContract) -> WarmSide:
        """The side of an approved run.

        Raises:
            NotApprovedError: the run is for another text encoder, or its delta is too large for
                the users that this platform publishes.
            DataMissingError, DataInvalidError, StoreError, KeysError: the data cannot be used.
            BudgetError, LedgerError: the ledger cannot pay for the run.
        """
        with self._lock:
            generation = self._data.generation()
            found = self._warm.get(contract.run)
            if found and (found.contract, found.generation) == (contract, generation):
                return found
            return self._made(contract, generation)

    def _made(self, contract: FederationContract, generation: int) -> WarmSide:
        self.forget(contract.run)
        self._data.require_encoder(contract.text_encoder)
        workspace = self._data.workspace(contract.encoder)
        side = self._side(contract, workspace)
        app = self._build(self._owner, side, contract)
        self._warm[contract.run] = WarmSide(contract, generation, side, app)
        return self._warm[contract.run]

    def forget(self, run: str) -> None:
        """Let go of a run's side."""
        if (old := self._warm.pop(run, None)) is not None:
            old.side.close()

    def close(self) -> None:
        """Let go of all."""
        for run in list(self._warm):
            self.forget(run)

    def _side(self, contract: FederationContract, workspace: Workspace) -> Side:
        folder, signing = self._owner.home.federation, self._owner.signing
        audit = folder / AUDIT
        if contract.trust == "none":
            metrics = frozenset(contract.metrics)
            return plain_side(workspace, contract.encoder, audit, metrics=metrics, key=signing)
        users = int(workspace.sequences.training_users.size)
        require_delta(contract, publish(self._owner.home, users))
        there = (folder / LEDGER).exists()  # then its own budget counts, not this run's
        member = private_member(
            workspace,
            contract.encoder,
            Account(
                ledger=folder / LEDGER,
                epsilon=None if there else contract.epsilon,
                delta=None if there else contract.delta,
                key=DATA_KEY,
                sent=folder / SENT,
                receipts=audit,
            ),
            users=contract.members[self._owner.name].users,
            shares=contract.plan.shares,
        )
        side = private_side(member, key=signing)
        try:
            member.charge.register(replace(contract.plan, round=1), contract.paid_rounds)
        except BaseException:
            side.close()
            raise
        return side


def build_app(owner: Owner, side: Side, contract: FederationContract) -> ClientApp:
    """The app of a run's side; where the contract says so, it answers in secure sums alone."""
    seat_for = (lambda _name: seat_of(owner, contract)) if contract.secure else None
    return build_client_app(lambda _context: side.trainer, lambda _name: side.outbox, seat_for)


def seat_of(owner: Owner, contract: FederationContract) -> Seat:
    """What a platform brings to secure aggregation: what the contract that it approved says.

    Guarantees:
        Whom it takes for whom, how many a sum must have, and how many may collude are the
        contract's, whatever the server says in a round.
    """
    members = contract.members.items()
    site = Site(
        owner.name,
        owner.signing,
        {name: bytes.fromhex(member.signing) for name, member in members},
        bytes.fromhex(contract.sha256),
        minimum=contract.minimum,
        colluders=contract.colluders,
    )
    return Seat(site, Attendance(owner.home.federation / ATTENDANCE))
