"""Where a scenario's platforms come from: one module a source."""

from __future__ import annotations

from pathlib import Path

from isthmus_client.relations import PlatformTables
from isthmus_simulations.scenarios.scenario import JourneyPlatform, PlatformPlan
from isthmus_simulations.scenarios.sources.journey import read_journey


def read_source(plan: PlatformPlan, data: Path | None) -> PlatformTables:
    """A platform's whole catalogue and histories, before any limit.

    Args:
        plan: names the source and its options.
        data: the folder of data sets; None = look for it (see `data_folder`).

    Raises:
        DataMissingError: a package, folder or file is not there.
        DataInvalidError: the data breaks its contract.
    """
    match plan:
        case JourneyPlatform():
            return read_journey(plan)
    raise NotImplementedError
