"""From a scenario to platforms that are ready to train: read, limit, cut, encode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from isthmus.errors import DataInvalidError
from isthmus.progress import Progress
from isthmus_client.histories import (
    Histories,
    Split,
    SplitKind,
    leave_one_out,
    split_by_time,
)
from isthmus_client.platform import Platform
from isthmus_client.relations import PlatformTables
from isthmus_client.text_encoder import HuggingFaceEncoder
from isthmus_client.vector_cache import encode_cached
from isthmus_simulations.scenarios.hostile import foreign_script, shuffle_items
from isthmus_simulations.scenarios.limits import Limits, restrict, taken_at
from isthmus_simulations.scenarios.scenario import (
    ContractPlatform,
    CopyPlatform,
    FilesPlatform,
    PlatformPlan,
    Scenario,
    SplitPlan,
    iso_seconds,
)
from isthmus_simulations.scenarios.sources import read_source


@dataclass(frozen=True)
class Prepared:
    """A scenario's platforms, and what a report says about how they were made.

    Attributes:
        validation_start: ISO time in UTC of the one cut for all; None for leave-one-out.
        test_start: the same for the test.
        encoder: name of the text encoder.
        encoder_fingerprint: SHA-256 of what decides its vectors.
        embedded: whether a platform is carved from the purchases that come with the installation.
        warnings: findings that did not stop the preparation, one line each.
    """

    platforms: tuple[Platform, ...]
    split_kind: SplitKind
    validation_start: str | None
    test_start: str | None
    encoder: str
    encoder_fingerprint: str
    embedded: bool
    warnings: tuple[str, ...]

    @property
    def content(self) -> int:
        """Width of the content vectors."""
        return int(self.platforms[0].vectors.shape[1])

    @property
    def timed(self) -> bool:
        """Whether the split is by the clock."""
        return self.split_kind == "time"


def prepare(
    scenario: Scenario,
    *,
    data: Path | None,
    cache: Path,
    seed: int,
    quick: bool,
    encoder: Path | None,
    progress: Progress,
) -> Prepared:
    """Read, limit and cut every platform, and encode its items' texts.

    Vectors are the encoder's own; centring and whitening belong to the model.

    Args:
        scenario: which platforms.
        data: folder of the data sets that do not ship with a package; None = look for it.
        cache: folder of the text vectors.
        seed: draws the users where a platform has more than its limit.
        quick: take the scenario's small variant.
        encoder: folder of another text encoder; None = the scenario's, else the default.
        progress: shows reading and encoding.

    Raises:
        DataMissingError: data or an encoder is not there.
        DataInvalidError: data, the split's moments or an encoder's output are unusable.
        FeedRefusedError: a platform's own tables are not fit for use.
    """
    chosen = scenario.quickened() if quick else scenario
    end = chosen.split.end
    tables = read_platforms(
        chosen.platforms, data, seed, progress, end=iso_seconds(end) if end else None
    )
    cut = _moments(chosen.split, [each.histories for each in tables])
    splits = [_split(each.histories, cut) for each in tables]
    text_encoder = HuggingFaceEncoder(encoder or chosen.encoder.directory)
    texts = [text for each in tables for text in each.catalogue.texts]
    vectors = encode_cached(texts, text_encoder, cache, progress)
    ends = np.cumsum([len(each.catalogue) for each in tables])[:-1]
    parts = zip(chosen.platforms, tables, np.split(vectors, ends), splits, strict=True)
    return Prepared(
        platforms=tuple(
            Platform(plan.name, each.catalogue, own, each.histories, split)
            for plan, each, own, split in parts
        ),
        split_kind=chosen.split.kind,
        validation_start=_iso(cut[0]) if cut else None,
        test_start=_iso(cut[1]) if cut else None,
        encoder=text_encoder.name,
        embedded=chosen.embedded,
        encoder_fingerprint=text_encoder.fingerprint,
        warnings=_warnings(chosen, tables),
    )


def read_platforms(
    plans: Sequence[PlatformPlan],
    data: Path | None,
    seed: int,
    progress: Progress,
    *,
    end: int | None = None,
) -> list[PlatformTables]:
    """Every platform's tables in the order of the plans; a copy's are those of its original.

    Args:
        end: Unix seconds from which on events are left out; None = all are there.
    """
    own = [plan for plan in plans if not isinstance(plan, CopyPlatform)]
    tables: dict[str, PlatformTables] = {}
    with progress.track("Reading platforms", len(own)) as advance:
        for plan in own:
            whole = _read_one(plan, data)
            there = whole if end is None else taken_at(whole, end, name=plan.name)
            tables[plan.name] = _limited(plan, there, seed)
            advance(1)
    return [tables[p.copy_of if isinstance(p, CopyPlatform) else p.name] for p in plans]


def _limited(plan: PlatformPlan, whole: PlatformTables, seed: int) -> PlatformTables:
    """The platform within its limits, and made as hostile as the plan wants it."""
    limits = Limits(
        min_item_users=plan.min_item_users,
        max_items=plan.max_items,
        min_user_events=plan.min_user_events,
        max_users=plan.max_users,
    )
    tables = restrict(whole, limits, name=plan.name, seed=seed)
    if plan.shuffle_items:
        tables = shuffle_items(tables, name=plan.name, seed=seed)
    return foreign_script(tables) if plan.foreign_script else tables


def _read_one(plan: PlatformPlan, data: Path | None) -> PlatformTables:
    """A platform; what its reading found is told where a person can correct the files."""
    tables = read_source(plan, data)
    told = tuple(f"{plan.name}: {line}" for line in tables.warnings)
    return replace(
        tables, warnings=told if isinstance(plan, FilesPlatform | ContractPlatform) else ()
    )


def _moments(plan: SplitPlan, histories: Sequence[Histories]) -> tuple[int, int] | None:
    """Where validation and test start, in Unix seconds; None for leave-one-out.

    Raises:
        DataInvalidError: no platform has times, or the two moments fall together.
    """
    if plan.kind == "leave-one-out":
        return None
    timed = [each.times for each in histories if each.timed]
    if not timed:
        raise DataInvalidError(
            "the scenario is split by time, but no platform has times",
            hint='set kind = "leave-one-out" under [split]',
        )
    times = np.sort(np.concatenate(timed))
    cut = _moment(plan.validation, times), _moment(plan.test, times)
    if not times[0] < cut[0] < cut[1] <= times[-1]:
        raise DataInvalidError(
            f"validation would start at {_iso(cut[0])} and test at {_iso(cut[1])}, but events "
            f"run from {_iso(int(times[0]))} to {_iso(int(times[-1]))}",
            hint="set validation and test under [split] so that each part has events",
        )
    return cut


def _moment(value: float | str, times: np.ndarray) -> int:
    """An ISO date (UTC where it names no zone), or the share of sorted times before it."""
    if isinstance(value, str):
        return iso_seconds(value)
    return int(times[int(value * times.size)])


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _split(histories: Histories, cut: tuple[int, int] | None) -> Split:
    """By time where there is a cut and times, leave-one-out otherwise."""
    if cut is None or not histories.timed:
        return leave_one_out(histories)
    return split_by_time(histories, *cut)


def _warnings(scenario: Scenario, tables: Sequence[PlatformTables]) -> tuple[str, ...]:
    lines = [line for each in tables for line in each.warnings]
    if scenario.split.kind == "time":
        lines += [
            f"{plan.name} has no times: it is split leave-one-out"
            for plan, each in zip(scenario.platforms, tables, strict=True)
            if not each.histories.timed
        ]
    return tuple(lines)
