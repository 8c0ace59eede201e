"""A platform's own two tables, made ready for training and measuring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from isthmus.errors import DataInvalidError, ScenarioError
from isthmus.progress import Progress
from isthmus_client.contract.loading import load_contract
from isthmus_client.contract.model import Contract, Table
from isthmus_client.histories import Histories, Split, leave_one_out, split_by_time
from isthmus_client.home import CONTRACT
from isthmus_client.platform import Platform
from isthmus_client.reading import read_tables
from isthmus_client.relations import PlatformTables
from isthmus_client.text_encoder import TextEncoder
from isthmus_client.vector_cache import encode_cached


@dataclass(frozen=True)
class OwnPlatform:
    """A platform, ready; and what a person should know about how it was made.

    Attributes:
        validation_start: ISO time in UTC; None for leave-one-out.
        test_start: the same for the test.
        warnings: one line each.
        max_events: newest events of a history to read; 0 = as many as an encoder was made for.
    """

    platform: Platform
    validation_start: str | None
    test_start: str | None
    warnings: tuple[str, ...]
    max_events: int = 0

    def read_by(self, made_for: int) -> int:
        """Events of a history that an encoder made for so many reads here."""
        return min(self.max_events or made_for, made_for)


def own_contract(
    path: Path | None, *, events: Path | None, items: Path | None, untimed: bool = False
) -> Contract:
    """A platform's contract, with what the command line gives on top.

    Args:
        path: a `platform.toml`; None = the one in the current folder, or, where a table is named,
            none: both have our column names then, and rows that repeat are kept, as nobody said
            that they mean nothing.
        events: instead of the contract's; seen from the current folder.
        items: the same.
        untimed: events have no times.

    Raises:
        ContractError, DataMissingError: the file is wrong, or not there.
        ScenarioError: a table is not named, or is one that needs a contract.
    """
    if path is None and (events or items):
        contract = _unwritten(events, items)
    else:
        contract = load_contract(path or CONTRACT)
        tables = {"events": _from(contract.events, events), "items": _from(contract.items, items)}
        contract = contract.model_copy(update=tables)
    if not untimed:
        return contract
    return contract.model_copy(
        update={"events": contract.events.model_copy(update={"timed": False})}
    )


def _unwritten(events: Path | None, items: Path | None) -> Contract:
    """The contract of two tables that nothing else is said about."""
    given = {"events": events, "items": items}
    if missing := [f"--{name}" for name, path in given.items() if path is None]:
        raise ScenarioError(
            f"{' and '.join(missing)} not given",
            hint="name both tables, or a file with their columns: --platform platform.toml",
        )
    try:
        return Contract.model_validate(
            {
                "events": {"source": str(events), "duplicates": "keep"},
                "items": {"source": str(items)},
            }
        )
    except ValidationError as error:
        lines = [
            f"--{e['loc'][0]}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        ]
        raise ScenarioError(
            "; ".join(lines), hint="describe the tables in a file: --platform platform.toml"
        ) from None


def _from(table: Table, path: Path | None) -> Table:
    """The table read from another file."""
    if path is None:
        return table
    elsewhere = {"source": str(path.absolute()), "format": "auto", "table": "", "query": ""}
    return table.model_copy(update=elsewhere)


def prepare_platform(
    contract: Contract,
    encoder: TextEncoder,
    cache: Path,
    progress: Progress,
    *,
    max_users: int = 0,
    seed: int = 0,
) -> OwnPlatform:
    """Read and judge the tables, cut the histories, encode the items' texts.

    Args:
        contract: names the tables and says how they are read.
        encoder: of the texts.
        cache: folder of their vectors.
        progress: shown to a person.
        max_users: a random subset of the users; 0 = all.
        seed: of that draw.

    Raises:
        DataMissingError, DataInvalidError: the tables, the times or the encoder are unusable.
        FeedRefusedError: the tables lack columns, or too many of their rows are bad.
    """
    with progress.track("reading tables", 1) as advance:
        tables = read_tables(contract)
        advance(1)
    return prepare_tables(
        tables, contract, encoder, cache, progress, max_users=max_users, seed=seed
    )


def prepare_tables(
    tables: PlatformTables,
    contract: Contract,
    encoder: TextEncoder,
    cache: Path,
    progress: Progress,
    *,
    max_users: int = 0,
    seed: int = 0,
) -> OwnPlatform:
    """As `prepare_platform`, of tables that were read already, such as those of the sealed store.

    Raises:
        DataInvalidError: the times leave no room for a test, or the encoder is unusable.
    """
    histories, warnings = _limited(tables, max_users, seed)
    split, moments = _split(histories, contract)
    vectors = encode_cached(tables.catalogue.texts, encoder, cache, progress)
    platform = Platform(contract.platform.name, tables.catalogue, vectors, histories, split)
    return OwnPlatform(platform, *moments, warnings, contract.history.max_events)


def _limited(tables: PlatformTables, most: int, seed: int) -> tuple[Histories, tuple[str, ...]]:
    """At most so many users, drawn without regard to activity, and the warnings."""
    whole = tables.histories
    if not most or whole.users <= most:
        return whole, tables.warnings
    chosen = np.sort(np.random.default_rng([seed, whole.users]).permutation(whole.users)[:most])
    lengths = np.diff(whole.offsets)
    kept = np.isin(np.repeat(np.arange(whole.users), lengths), chosen)
    histories = Histories(
        user_ids=tuple(whole.user_ids[user] for user in chosen.tolist()),
        offsets=np.concatenate([[0], np.cumsum(lengths[chosen])]).astype(np.int64),
        items=whole.items[kept],
        behaviours=whole.behaviours[kept],
        times=whole.times[kept],
        timed=whole.timed,
    )
    note = f"{most} of {whole.users} users were drawn at random; --max-users 0 takes all"
    return histories, (*tables.warnings, note)


def _split(histories: Histories, contract: Contract) -> tuple[Split, tuple[str | None, str | None]]:
    """By time where there are times, else leave-one-out; and the two moments.

    Raises:
        DataInvalidError: the times leave a window empty.
    """
    if not histories.timed:
        return leave_one_out(histories), (None, None)
    times = np.sort(histories.times)
    cut = [int(times[int(share * times.size)]) for share in _shares(contract)]
    if not times[0] < cut[0] < cut[1]:
        raise DataInvalidError(
            f"the events' times leave no room for a test: validation would start at "
            f"{_iso(cut[0])}, test at {_iso(cut[1])}, the first event is of {_iso(int(times[0]))}",
            hint="use --untimed where the order of rows is all that is known",
        )
    return split_by_time(histories, *cut), (_iso(cut[0]), _iso(cut[1]))


def _shares(contract: Contract) -> tuple[float, float]:
    """Of all events before validation and before the test."""
    return contract.history.validation, contract.history.test


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
