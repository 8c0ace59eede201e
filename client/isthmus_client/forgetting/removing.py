"""Persons forgotten, with a receipt each: the store first, then what is still owed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from isthmus.errors import StoreError
from isthmus.progress import Progress
from isthmus_client.contract import load_contract
from isthmus_client.forgetting.owed import Owed, Places, find_owed
from isthmus_client.forgetting.receipts import (
    Receipt,
    load_receipt,
    public_key,
    receipts_in,
    settle,
    write_pending,
)
from isthmus_client.forgetting.words import counted, statements
from isthmus_client.home import Home
from isthmus_client.store import Store
from isthmus_client.store.forget import Erasure, commit, erase, stored_rows
from isthmus_client.vault import Keyring

Rows = dict[str, int]


@dataclass(frozen=True)
class Forgotten:
    """What was done.

    Attributes:
        receipts: of each person, in the order asked; none has a user id in it.
        files: where each lies.
    """

    receipts: tuple[Receipt, ...]
    files: tuple[Path, ...]

    @property
    def generation(self) -> int:
        """Of the store afterwards."""
        return max(receipt.after for receipt in self.receipts)

    @property
    def owed(self) -> Owed:
        """What is still owed: the same for all."""
        return self.receipts[0].owed

    @property
    def removed(self) -> Rows:
        """Rows of all persons by table; one that is of two of them counts twice."""
        return summed([receipt.removed for receipt in self.receipts])


@dataclass(frozen=True)
class Request:
    """Who is to be forgotten, and where.

    Attributes:
        home: of the platform.
        keyring: its keys.
        pseudonyms: of the persons, each once.
        wait: seconds to wait for another process that writes to the store.
    """

    home: Home
    keyring: Keyring
    pseudonyms: Sequence[bytes]
    wait: float = 0.0


def look(request: Request) -> tuple[Rows, ...]:
    """What the store holds of each person: {table: rows}.

    Raises:
        StoreBusyError: another process writes to the store.
        KeysError: the store was made with other keys.
        StoreError: the store is damaged.
    """
    with _opened(request) as store:
        return stored_rows(store, request.pseudonyms)


def forget(request: Request, places: Places, progress: Progress, *, now: float) -> Forgotten:
    """Remove persons from the store in one generation, and sign a receipt for each.

    Args:
        request: who.
        places: where to look for what is owed.
        progress: shown to a person.
        now: Unix seconds.

    Guarantees:
        A crash leaves all of them in the store or none. A receipt is valid only if what it says
        was done: it is written beside before the store changes and takes its name afterwards; a
        process that died between the two is finished by the next call.
        No id reaches the disk, and no pseudonym of another person stands in a receipt.

    Raises:
        DataMissingError: a ledger or receipts that were named are not there.
        StoreBusyError, KeysError, StoreError: as in `look`; nobody was forgotten.
    """
    places.require()
    with _opened(request) as store:
        name = store.manifest.name or load_contract(request.home.contract).platform.name
        owed = find_owed(places, name)
        erasure = erase(store, request.pseudonyms, progress)
        receipts = _receipts(request, erasure, owed, name, now)
        files = tuple(write_pending(request.home.receipts, each) for each in receipts)
        commit(store, erasure)
        _settle(request, store)
    return Forgotten(receipts, files)


def returned(request: Request) -> list[bytes]:
    """Persons with a receipt whom the store does not keep away: an older copy was put back.

    `request.pseudonyms` is not looked at. Receipts of other keys are passed over.

    Raises:
        DataInvalidError: a receipt was altered.
        StoreBusyError, KeysError, StoreError: as in `look`.
    """
    with _opened(request) as store:
        return _returned(request.home, store)


def require_kept_away(home: Home, store: Store) -> None:
    """That a store which is to be filled keeps everybody away who has a receipt.

    Raises:
        StoreError: it does not: it is new, or an older copy was put back.
        DataInvalidError: a receipt was altered.

    Guarantees:
        Whoever was forgotten under these keys, and has a receipt in `home`, is not taken in again.
    """
    if back := _returned(home, store):
        raise StoreError(
            f"{home.store} would take in {counted(len(back), 'person')} again who "
            f"{'has a receipt' if len(back) == 1 else 'have receipts'} of being forgotten",
            hint="isthmus client forget --replay has the store keep them away; then the same "
            "command again",
        )


def _returned(home: Home, store: Store) -> list[bytes]:
    receipts = map(load_receipt, receipts_in(home.receipts))
    ours = public_key(store.keyring)  # anybody can write our key id; nobody else can sign
    own = (receipt.pseudonym for receipt in receipts if receipt.public_key == ours)
    kept_away = frozenset(store.manifest.forgotten)
    return [bytes.fromhex(each) for each in dict.fromkeys(own) if each not in kept_away]


def summed(rows: Sequence[Rows]) -> Rows:
    """Rows of several persons by table."""
    tables = dict.fromkeys(name for each in rows for name in each)
    return {name: sum(each.get(name, 0) for each in rows) for name in tables}


@contextmanager
def _opened(request: Request) -> Iterator[Store]:
    """The store for writing, with what a killed process left put in order."""
    home = request.home
    with Store.open(home.store, request.keyring, writable=True, wait=request.wait) as store:
        _settle(request, store)
        yield store


def _settle(request: Request, store: Store) -> None:
    manifest = store.manifest
    settle(request.home.receipts, frozenset(manifest.forgotten), manifest.generation)


def _receipts(
    request: Request, erasure: Erasure, owed: Owed, name: str, now: float
) -> tuple[Receipt, ...]:
    when = datetime.fromtimestamp(int(now), UTC).isoformat().replace("+00:00", "Z")
    after = erasure.manifest.generation
    persons = zip(request.pseudonyms, erasure.rows, erasure.known, strict=True)
    return tuple(
        Receipt(
            platform=name,
            key_id=request.keyring.key_id,
            pseudonym=pseudonym.hex(),
            time=when,
            before=erasure.before,
            after=erasure.before if known and not rows else after,
            removed=rows,
            remembered_before=known,
            replaced=erasure.replaced if rows else (),
            owed=owed,
            statements=statements(owed),
            public_key=public_key(request.keyring),
        ).signed(request.keyring)
        for pseudonym, rows, known in persons
    )
