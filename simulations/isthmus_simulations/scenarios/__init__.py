"""Scenarios: which platforms a simulation runs on, where their data is and how it is cut."""

from isthmus_simulations.scenarios.loading import builtin_scenarios, load_scenario
from isthmus_simulations.scenarios.prepare import Prepared, prepare
from isthmus_simulations.scenarios.scenario import Scenario

__all__ = ["Prepared", "Scenario", "builtin_scenarios", "load_scenario", "prepare"]
