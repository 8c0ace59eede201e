"""Which runs a platform is told of."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Final

from isthmus.control import control_pb2 as wire
from isthmus.errors import MessageRefusedError
from isthmus.federation_contract import FederationContract
from isthmus_server.state import RunRow, State

_TOLD_S: Final = 7 * 86_400.0  # seconds for which the end of a run is told
_OVER: Final = frozenset({"stopped", "finished", "failed"})
_BYTES: Final = 768 * 2**10  # of contracts in one answer; the others come with the next


def offers(
    state: State, platform: str, known: Collection[str], now_s: float
) -> tuple[wire.RunOffer, ...]:
    """The platform's runs, the newest first; those that ended long ago are left out.

    Args:
        state: holds the runs.
        platform: a member of each that is told.
        known: SHA-256 of contracts whose bytes are left out.
        now_s: seconds since 1970.
    """
    found, left = [], _BYTES
    mine = (row for row in state.runs.list() if platform in members(row.contract))
    for row in sorted(mine, key=lambda each: each.created, reverse=True):
        if row.status in _OVER and now_s - row.updated.timestamp() > _TOLD_S:
            continue
        contract = b"" if row.contract_sha256 in known else row.contract
        left -= len(contract)
        if left >= 0:
            found.append(_offer(row, contract))
    return tuple(found)


def members(contract: bytes) -> frozenset[str]:
    """Who takes part by a contract; nobody by what is none."""
    return _members(contract)


@lru_cache(maxsize=256)
def _members(contract: bytes) -> frozenset[str]:
    try:
        return frozenset(FederationContract.from_bytes(contract).members)
    except MessageRefusedError:
        return frozenset()


def _offer(row: RunRow, contract: bytes) -> wire.RunOffer:
    return wire.RunOffer(
        run=row.id,
        contract_sha256=row.contract_sha256,
        contract=contract,
        signature=row.signature,
        status=row.status,
        reason=row.reason[:2000],
    )
