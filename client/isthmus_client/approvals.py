"""What a platform agrees to: its answers to the contracts that it was offered, and whom it knows.

A run is approved when a person or a policy here said so to the very contract that the server
signed, and whose members have the keys that they had before. Nothing of a run is done without it.
"""

from __future__ import annotations

from collections.abc import Collection

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from isthmus.audit_log import AuditLog
from isthmus.control.limits import MAX_REASON
from isthmus.errors import IdentityError, IsthmusError, MessageRefusedError, NotApprovedError
from isthmus.federation_contract import FederationContract
from isthmus.federation_contract_claim import require_claim
from isthmus.federation_contract_signing import Answer, sign_answer, verify_answer
from isthmus.plain_text import plain
from isthmus.policy import Policy
from isthmus.policy import decide as decide_by
from isthmus_client.approvals_files import (
    By,
    Decided,
    Pin,
    decision_path,
    own_name,
    read_pins,
    runs_offered,
    write_kept,
    write_pins,
)
from isthmus_client.approvals_offers import (
    Clock,
    Standing,
    keep_offer,
    pending,
    standing,
    standings,
    utc_now,
)
from isthmus_client.home import Home

__all__ = [
    "Standing",
    "approved",
    "decide",
    "decide_by_policy",
    "keep_offer",
    "last_approved",
    "pending",
    "standing",
    "standings",
]


def decide(
    home: Home,
    run: str,
    *,
    approve: bool,
    reason: str,
    key: Ed25519PrivateKey,
    by: By = "person",
    new_keys: Collection[str] = (),
    contract_sha256: str | None = None,
    clock: Clock = utc_now,
) -> Decided:
    """Answer a contract: checked, in the audit log, signed, and then in `decisions/RUN.json`.

    Args:
        home: the platform's.
        run: that was offered.
        approve: the answer.
        reason: why; may be empty for an approval by a person; what is beyond 2 000 characters is
            cut off, as no server takes more.
        key: the platform's identity.
        by: who decided.
        new_keys: members whose changed identity key was compared and is accepted.
        contract_sha256: of the contract that was read; None = whichever is offered now.
        clock: what time it is.

    Guarantees:
        An approval is of one contract, byte for byte, that the pinned server signed, in which this
        platform stands under its own key, whose members have the keys that they had in every run
        approved before, and whose noise keeps its promise, worked out here.

    Raises:
        NotApprovedError: there is no such contract, or it cannot be approved; nothing was written.
        IdentityError: it is not the server's, or a member's key changed; nothing was written.
        OSError: the disk is full.
    """
    found = standing(home, run)
    contract, name = found.contract, own_name(home)
    if contract_sha256 not in (None, contract.sha256):
        raise NotApprovedError(
            f"the server has offered another contract of run {run} since this one was read",
            hint=f"read it: isthmus client approve-run {run}",
        )
    if approve:
        _require_members(home, found.contract, key, new_keys)
        require_claim(contract)
    answer: Answer = "approved" if approve else "refused"
    reason = plain(reason, MAX_REASON)
    signature = sign_answer(contract.sha256, name, answer, reason, key)
    at = clock().isoformat(timespec="seconds")
    decided = Decided(
        run=run,
        contract_sha256=contract.sha256,
        platform=name,
        answer=answer,
        reason=reason,
        by=by,
        at=at,
        signature=signature.hex(),
    )
    body = decided.model_dump(exclude={"signature"}) | {"kind": f"contract {answer}"}
    AuditLog(home.federation / "audit.jsonl", key).append(body)
    if approve:
        _pin(home, contract, at)
    write_kept(decision_path(home, run), decided)
    return decided


def decide_by_policy(
    home: Home, run: str, policy: Policy, key: Ed25519PrivateKey, *, clock: Clock = utc_now
) -> Decided:
    """Answer a contract as the policy says; its reasons stand in the answer.

    A refusal may be turned by a person later; an approval holds for this very contract.

    Raises:
        NotApprovedError, IdentityError, OSError: as `decide`, for anything but a refusal.
    """
    contract = standing(home, run).contract
    approve, reasons = decide_by(contract, policy)
    try:
        said = "; ".join(reasons)
        return decide(home, run, approve=approve, reason=said, key=key, by="policy", clock=clock)
    except (NotApprovedError, IdentityError) as error:
        if not approve:
            raise
        said = str(error)
        return decide(home, run, approve=False, reason=said, key=key, by="policy", clock=clock)


def approved(home: Home, run: str) -> FederationContract:
    """The contract of a run that this platform approved: all that the run may do here.

    Guarantees:
        What is returned was signed by the pinned server and approved under this platform's own
        identity key, byte for byte.

    Raises:
        NotApprovedError: it was not offered, not answered, refused, or has changed since.
        IdentityError: a signature is wrong.
    """
    try:
        found = standing(home, run)
    except MessageRefusedError as error:
        raise NotApprovedError(str(error), hint=error.hint) from error
    decided, contract = found.decided, found.contract
    if decided is None:
        raise NotApprovedError(
            f"this platform has not approved the run {run}, contract {contract.sha256[:16]}",
            hint=f"read it, then: isthmus client approve-run {run}",
        )
    if decided.answer != "approved":
        raise NotApprovedError(
            f"this platform refused the run {run}: {decided.reason or 'no reason was given'}",
            hint=f"to change that: isthmus client approve-run {run}",
        )
    if found.problems:
        raise NotApprovedError(f"run {run}: {'; '.join(found.problems)}")
    member = contract.members.get(decided.platform)
    if member is None or decided.platform != own_name(home):
        raise NotApprovedError(f"the approval of run {run} is not this platform's")
    verify_answer(
        contract.sha256,
        decided.platform,
        decided.answer,
        decided.reason,
        bytes.fromhex(decided.signature),
        bytes.fromhex(member.signing),
    )
    return contract


def last_approved(home: Home, but: str) -> FederationContract | None:
    """The contract that was approved last before this run; None = there is none."""
    found: list[tuple[str, FederationContract]] = []
    for run in runs_offered(home):
        if run == but:
            continue
        try:
            each = standing(home, run)
        except IsthmusError:
            continue  # a damaged old contract must not keep a person from reading a new one
        if each.decided is not None and each.decided.answer == "approved":
            found.append((each.decided.at, each.contract))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _require_members(
    home: Home, contract: FederationContract, key: Ed25519PrivateKey, new_keys: Collection[str]
) -> None:
    """Refuse where we are not who the contract says, or others are not who they were."""
    name = own_name(home)
    mine = contract.members.get(name)
    if mine is None:
        raise NotApprovedError(
            f"run {contract.run}: this platform, {name}, is not among its members"
        )
    if mine.signing != key.public_key().public_bytes_raw().hex():
        raise IdentityError(
            f"run {contract.run} names another identity key for {name} than this platform has",
            hint="the server may put somebody else in this platform's place: tell the operator",
        )
    pins = read_pins(home)
    for member, told in sorted(contract.members.items()):
        if member in new_keys or member not in pins or pins[member].signing == told.signing:
            continue
        raise IdentityError(
            f"run {contract.run}: {member} has another identity key than in the run "
            f"{pins[member].run}, which was approved",
            hint=f"compare fingerprints with {member} by telephone, then: --new-key {member}",
        )


def _pin(home: Home, contract: FederationContract, at: str) -> None:
    """Remember the members' keys; one that was known keeps its first run."""
    pins = read_pins(home)
    for name, member in contract.members.items():
        if name not in pins or pins[name].signing != member.signing:
            pins[name] = Pin(signing=member.signing, run=contract.run, since=at)
    write_pins(home, pins)
