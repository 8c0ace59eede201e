"""A platform's side of a run: what trains, what adds noise, what keeps account, and the door out.

The simulation calls these very functions, so that it trains as a deployment does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.encoder_config import EncoderConfig
from isthmus.privacy.randomness import SecureSource
from isthmus_client.charge import LedgerCharge
from isthmus_client.federated_trainer import FederatedTrainer
from isthmus_client.ledger import Key, Ledger, recorded_heads
from isthmus_client.noise import GaussianNoise
from isthmus_client.outbox import DECLARED_METRICS, Outbox
from isthmus_client.private_trainer import PrivateTrainer
from isthmus_client.workspace import Workspace


@dataclass(frozen=True)
class Member:
    """One platform of a private run: what trains, what adds noise, and what keeps account."""

    trainer: PrivateTrainer
    noise: GaussianNoise
    charge: LedgerCharge
    receipts: Path

    def outbox(self) -> Outbox:
        """The platform's door out."""
        return Outbox(self.trainer.platform, self.receipts, (self.noise,), charge=self.charge)


@dataclass(frozen=True)
class Account:
    """Where a platform keeps what it spends.

    Attributes:
        ledger: the file; made with this budget where it is not there.
        epsilon: the budget, for all runs together; None = the one that the ledger has.
        delta: the same.
        key: whose privacy is spent.
        sent: folder of the bytes that left last.
        receipts: by which an older ledger that is put back is found out.
    """

    ledger: Path
    epsilon: float | None
    delta: float | None
    key: Key
    sent: Path
    receipts: Path


def private_member(
    workspace: Workspace,
    config: EncoderConfig,
    account: Account,
    *,
    users: int,
    shares: int,
    source: SecureSource | None = None,
) -> Member:
    """One platform's side of a private run, with its ledger opened.

    Args:
        workspace: the platform's data.
        config: shapes of the shared encoder.
        account: what pays for it.
        users: published, a constant of the schedule.
        shares: honest platforms on whose noise this platform agreed to rely, at most.
        source: of sample, windows and noise; None = the operating system's, and tests alone give
            another.

    Guarantees:
        Nothing is computed before the ledger charged it, and nothing leaves without noise.

    Raises:
        LedgerError: the ledger was altered, or is older than a receipt says.
        BudgetError: the account's budget is out of range, or above the one that the ledger has.
    """
    ledger = Ledger(account.ledger, epsilon=account.epsilon, delta=account.delta)
    try:
        ledger.require_contains(*recorded_heads(account.receipts))
    except BaseException:
        ledger.close()
        raise
    charge = LedgerCharge(ledger, account.key, account.sent, users)
    trainer = PrivateTrainer(workspace, config, charge, users)
    noise = GaussianNoise(users, shares=shares)
    if source is not None:
        trainer, noise = replace(trainer, source=source), replace(noise, source=source)
    return Member(trainer, noise, charge, account.receipts)


@dataclass(frozen=True)
class Side:
    """A platform's side of one run, whatever its trust mode.

    Attributes:
        close: lets go of the ledger.
    """

    trainer: FederatedTrainer | PrivateTrainer
    outbox: Outbox
    close: Callable[[], None] = field(default=lambda: None)


def plain_side(
    workspace: Workspace,
    config: EncoderConfig,
    receipts: Path,
    *,
    metrics: frozenset[str] = DECLARED_METRICS,
    key: Ed25519PrivateKey | None = None,
) -> Side:
    """A platform's side of a run without privacy.

    Args:
        workspace: the platform's data.
        config: shapes of the shared encoder.
        receipts: where what left is written down.
        metrics: that may be reported.
        key: signs the receipts; None = nobody does.
    """
    trainer = FederatedTrainer(workspace, config)
    return Side(trainer, Outbox(trainer.platform, receipts, metrics=metrics, signing=key))


def private_side(member: Member, *, key: Ed25519PrivateKey | None = None) -> Side:
    """A platform's side of a private run; `close` closes its ledger.

    Args:
        member: of `private_member`.
        key: signs the receipts; None = nobody does.
    """
    outbox = replace(member.outbox(), metrics=frozenset(), signing=key)
    return Side(member.trainer, outbox, member.charge.ledger.close)
