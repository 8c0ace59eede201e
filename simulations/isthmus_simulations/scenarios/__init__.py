"""Scenarios: which platforms a simulation runs on, where their data is and how it is cut."""

from isthmus_simulations.scenarios.loading import builtin_scenarios, load_scenario
from isthmus_simulations.scenarios.prepare import Prepared, prepare
from isthmus_simulations.scenarios.scenario import Scenario, earlier_name

__all__ = ["Prepared", "Scenario", "builtin_scenarios", "earlier_name", "load_scenario", "prepare"]
