"""The benchmark's scenarios, read and encoded once, where every cell's process finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from isthmus.errors import DataMissingError, ScenarioError
from isthmus.progress import Progress
from isthmus_client.platform import Platform
from isthmus_client.platform_files import load_platform, save_platform
from isthmus_simulations.scenarios import Prepared, Scenario, earlier_name, load_scenario, prepare
from isthmus_simulations.transfer.identity import data_digest
from isthmus_simulations.transfer.options import DEFAULT_SCENARIOS, TransferOptions

DATA_SEED = 7
"""Draws the users where a platform has more than its limit: once for all seeds, so that a user is
the same user in every cell and can be averaged over them."""


@dataclass(frozen=True)
class Input:
    """One scenario on disk.

    Attributes:
        name: as in figures: the scenario's own.
        asked: as on the command line.
        folders: of its platforms, in order.
        content: width of the content vectors.
        data: digest of everything that training reads.
        embedded: as of `Prepared`.
        timed: whether the split is by the clock.
        record_of: the scenario whose gates this one, a window earlier, is a track record for; None
            = it is measured for itself.
    """

    name: str
    asked: str
    folders: tuple[Path, ...]
    content: int
    data: str
    embedded: bool
    timed: bool
    warnings: tuple[str, ...]
    record_of: str | None = None


def prepare_inputs(
    options: TransferOptions, folder: Path, progress: Progress
) -> tuple[tuple[Input, ...], tuple[str, ...]]:
    """Read every scenario, write its platforms below `folder`.

    With two windows each scenario that is split by the clock is followed by itself one window
    before, on data as they stood when the test began.

    Returns:
        The scenarios, and a line for each default scenario that is left out.

    Raises:
        DataMissingError: a scenario that was asked for has no data.
        DataInvalidError: data breaks its contract.
        ScenarioError: a scenario is wrong, or two have one name.
    """
    asked = options.scenarios or DEFAULT_SCENARIOS
    scenarios = [_capped(load_scenario(name), options.max_users) for name in asked]
    names = [scenario.name for scenario in scenarios]
    _require_names(names + [earlier_name(name) for name in names if options.windows > 1])
    inputs: list[Input] = []
    notes: list[str] = []
    for name, scenario in zip(asked, scenarios, strict=True):
        try:
            inputs.extend(_windows(name, scenario, options, folder, progress))
        except DataMissingError as error:
            if options.scenarios:
                raise
            notes.append(f"{name} is left out: {error} ({error.hint})")
    return tuple(inputs), tuple(notes)


def load_input(folders: Sequence[Path]) -> tuple[Platform, ...]:
    """The platforms of a scenario that `prepare_inputs` wrote.

    Raises:
        DataMissingError, DataInvalidError: they are not there, or damaged.
    """
    return tuple(load_platform(folder) for folder in folders)


def _windows(
    asked: str, scenario: Scenario, options: TransferOptions, folder: Path, progress: Progress
) -> tuple[Input, ...]:
    """The scenario, and itself one window before where that is asked for and there are times."""
    found, cuts = _prepare(asked, scenario, options, folder, progress)
    if cuts is None or options.windows == 1:
        return (found,)
    before, _ = _prepare(asked, scenario.earlier(*cuts), options, folder, progress)
    return found, replace(before, record_of=found.name)


def _prepare(
    asked: str, scenario: Scenario, options: TransferOptions, folder: Path, progress: Progress
) -> tuple[Input, tuple[str, str] | None]:
    """The scenario on disk, and the times at which validation and test start, if there are."""
    prepared = prepare(
        scenario,
        data=options.data_folder,
        cache=options.cache,
        seed=DATA_SEED,
        quick=options.quick,
        encoder=None,
        progress=progress,
    )
    folders = tuple(folder / scenario.name / p.name for p in prepared.platforms)
    for place, platform in zip(folders, prepared.platforms, strict=True):
        save_platform(platform, place)
    start, stop = prepared.validation_start, prepared.test_start
    cuts = (start, stop) if start is not None and stop is not None else None
    found = Input(
        name=scenario.name,
        asked=asked,
        folders=folders,
        content=prepared.content,
        data=data_digest(prepared.platforms),
        embedded=prepared.embedded,
        timed=prepared.timed,
        warnings=_warnings(scenario, prepared),
    )
    return found, cuts


def _capped(scenario: Scenario, most: int) -> Scenario:
    """With at most so many users a platform; 0 = as it is."""
    if not most:
        return scenario
    platforms = tuple(
        p.model_copy(update={"max_users": min(p.max_users or most, most)})
        for p in scenario.platforms
    )
    return scenario.model_copy(update={"platforms": platforms})


def _warnings(scenario: Scenario, prepared: Prepared) -> tuple[str, ...]:
    return tuple(f"{scenario.name}: {line}" for line in prepared.warnings)


def _require_names(names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ScenarioError(f"scenarios of one name were asked for: {', '.join(twice)}")
