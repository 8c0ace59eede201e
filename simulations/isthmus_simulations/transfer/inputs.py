"""The benchmark's scenarios, read and encoded once, where every cell's process finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import DataMissingError, ScenarioError
from isthmus.progress import Progress
from isthmus_client.platform import Platform
from isthmus_client.platform_files import load_platform, save_platform
from isthmus_simulations.scenarios import Prepared, Scenario, load_scenario, prepare
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
    """

    name: str
    asked: str
    folders: tuple[Path, ...]
    content: int
    data: str
    embedded: bool
    timed: bool
    warnings: tuple[str, ...]


def prepare_inputs(
    options: TransferOptions, folder: Path, progress: Progress
) -> tuple[tuple[Input, ...], tuple[str, ...]]:
    """Read every scenario, write its platforms below `folder`.

    Returns:
        The scenarios, and a line for each default scenario that is left out.

    Raises:
        DataMissingError: a scenario that was asked for has no data.
        DataInvalidError: data breaks its contract.
        ScenarioError: a scenario is wrong, or two have one name.
    """
    asked = options.scenarios or DEFAULT_SCENARIOS
    scenarios = [_capped(load_scenario(name), options.max_users) for name in asked]
    _require_names([scenario.name for scenario in scenarios])
    inputs: list[Input] = []
    notes: list[str] = []
    for name, scenario in zip(asked, scenarios, strict=True):
        try:
            inputs.append(_prepare(name, scenario, options, folder, progress))
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


def _prepare(
    asked: str, scenario: Scenario, options: TransferOptions, folder: Path, progress: Progress
) -> Input:
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
    return Input(
        name=scenario.name,
        asked=asked,
        folders=folders,
        content=prepared.content,
        data=data_digest(prepared.platforms),
        embedded=prepared.embedded,
        timed=prepared.timed,
        warnings=_warnings(scenario, prepared),
    )


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
