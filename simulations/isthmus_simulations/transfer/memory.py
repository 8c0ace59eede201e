"""The gates of a cell: as the window before it lets them decide, or on one window alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from isthmus_client.gate import decide
from isthmus_client.track_record import Past, past_of
from isthmus_simulations.transfer.facts import Cell, GateFacts, PlatformFacts, Values
from isthmus_simulations.transfer.inputs import Input
from isthmus_simulations.transfer.models import CANDIDATE, MODELS

Records = Mapping[str, str]
"""Names of scenarios one window before, and what they are a track record for."""


def gate_facts(qualities: Mapping[str, Values], seed: int, past: Past | None = None) -> GateFacts:
    """The decision of the very gate that platforms use.

    The best baseline is the one that this gate would keep if the platform had no recipe of its own.

    Args:
        qualities: NDCG@10 of every model on the gate's users. each (users,)
        past: the figures of the test window before.
    """
    baselines = tuple(name for name in OWN if MODELS[name].role == "baseline")
    found = decide(CANDIDATE, qualities, OWN, seed=seed, past=past)
    return GateFacts(
        decision=found.decision,
        served=found.served,
        incumbent=found.incumbent,
        baseline=decide(CANDIDATE, qualities, baselines, seed=seed, past=past).incumbent,
        users=found.users,
    )


OWN = tuple(name for name, entry in MODELS.items() if entry.role in {"baseline", "own"})
"""What a platform has without the federation."""


def records_of(inputs: Iterable[Input]) -> Records:
    """Which scenarios are there as track records only."""
    return {each.name: each.record_of for each in inputs if each.record_of is not None}


def remembered(cells: Sequence[Cell], records: Records) -> list[Cell]:
    """The cells that are measured for themselves, their gates decided on both windows.

    Guarantees:
        A gate sees of the earlier cell its test window, which ends where the later cell's test
        begins; no value of a later cell's test window has a part in its decision.
    """
    earlier = {
        (records[cell.facts.scenario], cell.facts.seed): cell
        for cell in cells
        if cell.facts.scenario in records
    }
    return [
        _decided(cell, earlier.get((cell.facts.scenario, cell.facts.seed)))
        for cell in cells
        if cell.facts.scenario not in records
    ]


def _decided(cell: Cell, earlier: Cell | None) -> Cell:
    if earlier is None:
        return cell
    seed = cell.facts.seed
    platforms = {
        name: facts.model_copy(
            update={
                "gate": gate_facts(
                    _by_name(facts, cell.values[name].gate_ndcg),
                    seed,
                    past_of(
                        CANDIDATE,
                        _by_name(earlier.facts.platforms[name], earlier.values[name].ndcg),
                        OWN,
                    ),
                )
            }
        )
        for name, facts in cell.facts.platforms.items()
    }
    return replace(cell, facts=cell.facts.model_copy(update={"platforms": platforms}))


def _by_name(facts: PlatformFacts, values: Values) -> dict[str, Values]:
    """Rows of values by the models' names."""
    return {model.name: values[place] for place, model in enumerate(facts.models)}
