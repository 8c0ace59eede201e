"""A platform's own two tables, made ready for training and measuring."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from isthmus.errors import DataInvalidError, DataMissingError, ScenarioError
from isthmus.progress import Progress
from isthmus_client.histories import Histories, Split, leave_one_out, split_by_time
from isthmus_client.platform import Platform
from isthmus_client.relations import PlatformTables
from isthmus_client.tables import TableOptions, read_tables
from isthmus_client.text_encoder import TextEncoder
from isthmus_client.vector_cache import encode_cached

Part = Annotated[float, Field(gt=0, lt=1)]


class PlatformFile(BaseModel):
    """Where a platform's tables are and how its words map to ours: the keys of a `platform.toml`.

    They are those of a platform with `source = "files"` in a scenario, plus the split.

    Attributes:
        validation: share of all events before validation starts; unused where there are no times.
        test: the same for the test.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")] = "own"
    source: Literal["files"] = "files"
    events: Path
    items: Path
    event_columns: dict[str, str] = Field(default_factory=dict)
    item_columns: dict[str, str] = Field(default_factory=dict)
    behaviours: dict[str, str] = Field(default_factory=dict)
    behaviour: str = "purchase"
    timed: bool = True
    timestamp_unit: Literal["s", "ms"] = "s"
    validation: Part = 0.8
    test: Part = 0.9

    def tables(self) -> TableOptions:
        """What `read_tables` takes."""
        return TableOptions(
            events=self.events,
            items=self.items,
            event_columns=self.event_columns,
            item_columns=self.item_columns,
            behaviours=self.behaviours,
            default_behaviour=self.behaviour,
            timed=self.timed,
            timestamp_unit=self.timestamp_unit,
        )


@dataclass(frozen=True)
class OwnPlatform:
    """A platform, ready; and what a person should know about how it was made.

    Attributes:
        validation_start: ISO time in UTC; None for leave-one-out.
        test_start: the same for the test.
        warnings: one line each.
    """

    platform: Platform
    validation_start: str | None
    test_start: str | None
    warnings: tuple[str, ...]


def platform_file(path: Path | None, **given: Any) -> PlatformFile:
    """A platform file, with what the command line gives on top; None leaves a key as it is.

    Paths in the file are relative to it.

    Raises:
        ScenarioError: the file is not there, not TOML, or a key is missing, unknown or wrong.
    """
    values = {**(_read(path) if path else {}), **{k: v for k, v in given.items() if v is not None}}
    if missing := [f"--{key}" for key in ("events", "items") if key not in values]:
        raise ScenarioError(
            f"{' and '.join(missing)} not given",
            hint="name both tables, or a file with their columns: --platform platform.toml",
        )
    try:
        found = PlatformFile.model_validate(values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ScenarioError(
            f"{path or 'the options'}: {'; '.join(lines)}",
            hint="the keys of a platform file are described in docs/trial.md",
        ) from error
    if not found.validation < found.test:
        raise ScenarioError(f"validation {found.validation} is not before test {found.test}")
    return found


def _read(path: Path) -> Mapping[str, Any]:
    """The file's keys, its paths seen from its folder."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"--platform {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path} is not TOML: {error}") from error
    paths = {k: path.parent / v for k, v in values.items() if k in {"events", "items"} and v}
    return {**values, **paths}


def prepare_platform(
    file: PlatformFile,
    encoder: TextEncoder,
    cache: Path,
    progress: Progress,
    *,
    max_users: int = 0,
    seed: int = 0,
) -> OwnPlatform:
    """Read and check the tables, cut the histories, encode the items' texts.

    Args:
        max_users: a random subset of the users; 0 = all.
        seed: of that draw.

    Raises:
        DataMissingError, DataInvalidError: the tables, the times or the encoder are unusable.
    """
    with progress.track("reading tables", 1) as advance:
        try:
            tables = read_tables(file.tables())
        except DataMissingError as error:
            raise DataMissingError(str(error), hint="check --events and --items") from error
        advance(1)
    histories, warnings = _limited(tables, max_users, seed)
    split, moments = _split(histories, file)
    vectors = encode_cached(tables.catalogue.texts, encoder, cache, progress)
    platform = Platform(file.name, tables.catalogue, vectors, histories, split)
    return OwnPlatform(platform, *moments, warnings)


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


def _split(histories: Histories, file: PlatformFile) -> tuple[Split, tuple[str | None, str | None]]:
    """By time where there are times, else leave-one-out; and the two moments.

    Raises:
        DataInvalidError: the times leave a window empty.
    """
    if not histories.timed:
        return leave_one_out(histories), (None, None)
    times = np.sort(histories.times)
    cut = [int(times[int(share * times.size)]) for share in (file.validation, file.test)]
    if not times[0] < cut[0] < cut[1]:
        raise DataInvalidError(
            f"the events' times leave no room for a test: validation would start at "
            f"{_iso(cut[0])}, test at {_iso(cut[1])}, the first event is of {_iso(int(times[0]))}",
            hint="use --untimed where the order of rows is all that is known",
        )
    return split_by_time(histories, *cut), (_iso(cut[0]), _iso(cut[1]))


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
