"""The contracts that a platform was offered, and how each stands with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from isthmus.errors import MessageRefusedError, NotApprovedError
from isthmus.federation_contract import FederationContract
from isthmus.federation_contract_signing import verify_contract
from isthmus_client.approvals_files import (
    Decided,
    Offer,
    offer_path,
    own_name,
    read_decision,
    read_offer,
    read_pins,
    runs_offered,
    server_key,
    write_kept,
)
from isthmus_client.home import Home

Clock = Callable[[], datetime]
ENDED: Final = frozenset({"stopped", "finished", "failed"})
"""Statuses of a run that nobody needs to answer any more."""


MAX_KEPT: Final = 2_000
"""Contracts of one platform: a server cannot fill its disk with them."""


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Standing:
    """A run as this platform sees it.

    Attributes:
        contract: as the server signed it.
        status: of the run, as the server told it last.
        decided: the answer to this very contract; None = there is none yet.
        problems: what keeps it from being approved; nothing where it may be.
    """

    contract: FederationContract
    status: str
    decided: Decided | None
    problems: tuple[str, ...] = ()

    @property
    def pending(self) -> bool:
        """Whether an answer is waited for."""
        return self.decided is None and self.status not in ENDED


def keep_offer(
    home: Home, *, contract: bytes, signature: bytes, status: str, clock: Clock = utc_now
) -> FederationContract:
    """Keep a contract that the server offered, if the server signed it.

    Calling it again with the same is cheap: the file is written only when something changed.

    Raises:
        IdentityError: the signature is not the server's; nothing was kept.
        MessageRefusedError: it is no contract, or there are too many; nothing was kept.
        OSError: the disk is full.
    """
    found = verify_contract(contract, signature, server_key(home))
    there = _old_offer(home, found.run)
    if there is None and len(runs_offered(home)) >= MAX_KEPT:
        raise MessageRefusedError(
            f"{home.federation / 'contracts'} holds {MAX_KEPT:,} contracts; no more are taken",
            hint="if they are what the federation agreed on, move old ones away",
        )
    text, signed = contract.decode(), signature.hex()
    if there is not None and (there.contract, there.signature) == (text, signed):
        if there.status == status:
            return found
        kept = there.model_copy(update={"status": status})
    else:
        received = clock().isoformat(timespec="seconds")
        kept = Offer(contract=text, signature=signed, status=status, received=received)
    write_kept(offer_path(home, found.run), kept)
    return found


def standings(home: Home) -> tuple[Standing, ...]:
    """Every run that was offered, by id.

    Raises:
        IdentityError: the platform has joined no federation, or a contract is not the server's.
        NotApprovedError, MessageRefusedError: a file is damaged.
    """
    return tuple(standing(home, run) for run in runs_offered(home))


def standing(home: Home, run: str) -> Standing:
    """One run that was offered.

    Raises:
        NotApprovedError: the server offered no such run, or a file is damaged.
        IdentityError, MessageRefusedError: as `standings`.
    """
    offer = read_offer(home, run)
    if offer is None:
        known = ", ".join(runs_offered(home)) or "none"
        raise NotApprovedError(
            f"the server offered no contract of a run {run!r}", hint=f"offered were: {known}"
        )
    contract = verify_contract(
        offer.contract.encode(), bytes.fromhex(offer.signature), server_key(home)
    )
    if contract.run != run:
        raise NotApprovedError(f"the contract kept for {run!r} is of the run {contract.run!r}")
    decided = read_decision(home, run)
    if decided is not None and decided.contract_sha256 != contract.sha256:
        decided = None
    return Standing(contract, offer.status, decided, problems(home, contract))


def pending(home: Home) -> tuple[Standing, ...]:
    """The runs that wait for this platform's answer.

    Raises:
        IdentityError, NotApprovedError, MessageRefusedError: as `standings`.
    """
    return tuple(each for each in standings(home) if each.pending)


def problems(home: Home, contract: FederationContract) -> tuple[str, ...]:
    """What of a contract's members is not as this platform knows it; its own part among them."""
    name, found = own_name(home), []
    if name not in contract.members:
        found.append(f"this platform, {name}, is not among its members")
    pins = read_pins(home)
    for member, told in sorted(contract.members.items()):
        if member in pins and pins[member].signing != told.signing:
            found.append(
                f"{member} has another identity key than in the run {pins[member].run}: compare "
                f"fingerprints with {member} first"
            )
    return tuple(found)


def _old_offer(home: Home, run: str) -> Offer | None:
    """What was kept before; a damaged file is as good as none, as the offer is here again."""
    try:
        return read_offer(home, run)
    except NotApprovedError:
        return None
