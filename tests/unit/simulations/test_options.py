"""Everything that a simulation can be told."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from isthmus.errors import ScenarioError
from isthmus_simulations.options import DEPENDENT, SimulationOptions, checked, default_out

OUT = Path("out")


def test_defaults():
    options = SimulationOptions(out=OUT)
    assert (options.scenario, options.seed, options.engine) == ("journey", 7, "memory")


def test_options_cannot_be_changed_or_invented():
    with pytest.raises(ValidationError):
        SimulationOptions(out=OUT).seed = 8
    with pytest.raises(ValidationError):
        SimulationOptions(out=OUT, sead=8)


def test_every_option_either_decides_the_result_or_does_not():
    free = {"out", "cache", "engine", "workers", "resume"}
    assert set(DEPENDENT) | free == set(SimulationOptions.model_fields)
    assert not set(DEPENDENT) & free


def test_every_wrong_value_is_named():
    with pytest.raises(ScenarioError) as caught:
        checked(out=OUT, learning_rate=-0.5, local_epochs=0)
    assert "--learning-rate -0.5" in str(caught.value)
    assert "--local-epochs 0" in str(caught.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"record": OUT}, "leave one out"),
        ({"privacy": "pooled"}, "two releases on the same users, and --epsilon is of one"),
    ],
)
def test_what_two_windows_do_not_go_with(more, said):
    with pytest.raises(ScenarioError, match=f"^--windows 2 .*{said}"):
        checked(out=OUT, windows=2, **more)


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ({"scenario": "journey", "seed": 7, "quick": False}, "journey-7"),
        ({"scenario": "a/mine.toml", "seed": 3, "quick": True}, "mine-3-quick"),
        ({"scenario": "trio", "seed": 3, "quick": False, "newcomer": "x"}, "trio-3-newcomer-x"),
    ],
)
def test_the_default_folder(arguments, folder):
    assert default_out(**arguments) == Path("isthmus-runs") / folder
