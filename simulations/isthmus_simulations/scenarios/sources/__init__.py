"""Where a scenario's platforms come from: one module a source."""

from __future__ import annotations

from pathlib import Path
from typing import assert_never

from isthmus.errors import ScenarioError
from isthmus_client.contract.loading import load_contract
from isthmus_client.reading import read_tables
from isthmus_client.relations import PlatformTables
from isthmus_simulations.scenarios.scenario import (
    Amazon2018Platform,
    AmazonP5Platform,
    ContractPlatform,
    CopyPlatform,
    FilesPlatform,
    JourneyPlatform,
    OnlineRetailPlatform,
    PlatformPlan,
)
from isthmus_simulations.scenarios.sources.amazon import read_amazon_2018, read_amazon_p5
from isthmus_simulations.scenarios.sources.journey import read_journey
from isthmus_simulations.scenarios.sources.online_retail import read_online_retail


def read_source(plan: PlatformPlan, data: Path | None) -> PlatformTables:
    """A platform's whole catalogue and histories, before any limit.

    Args:
        plan: names the source and its options.
        data: the folder of data sets; None = look for it (see `data_folder`).

    Raises:
        DataMissingError: a package, folder or file is not there.
        DataInvalidError, FeedRefusedError: the data breaks its contract.
        ContractError: a platform's own contract is wrong.
        ScenarioError: the plan is a copy: whoever reads the original has its tables.
    """
    match plan:
        case JourneyPlatform():
            return read_journey(plan)
        case AmazonP5Platform():
            return read_amazon_p5(plan, data)
        case Amazon2018Platform():
            return read_amazon_2018(plan, data)
        case OnlineRetailPlatform():
            return read_online_retail(plan, data)
        case FilesPlatform():
            return read_tables(plan.as_contract())
        case ContractPlatform():
            return read_tables(load_contract(plan.contract))
        case CopyPlatform():
            raise ScenarioError(f"platform {plan.name} is a copy and has no source of its own")
    assert_never(plan)
