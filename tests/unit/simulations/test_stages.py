"""A stage is computed once; what is damaged or torn is computed again."""

import numpy as np
import pytest

from isthmus.encoder import EncoderConfig
from isthmus_client.federated_trainer import initial_parameters
from isthmus_client.local_training import CurvePoint
from isthmus_simulations.stages import Stages, Trained, encoder_of

CONFIG = EncoderConfig(content=6, dim=4, layers=1, heads=2, max_events=7)


def trained(seed=3):
    curve = (CurvePoint(0.0, 0.5, 0.125), CurvePoint(1.0, 1.25, None))
    return Trained(initial_parameters(CONFIG, seed), {"shop": curve}, 1.0, 2.5)


@pytest.fixture
def counted():
    calls = []

    def compute():
        calls.append(1)
        return trained()

    return compute, calls


def test_a_stage_comes_back_from_disk_bit_for_bit(tmp_path, counted):
    compute, calls = counted
    first = Stages(tmp_path).once("alone-shop", compute)
    again = Stages(tmp_path).once("alone-shop", compute)

    assert len(calls) == 1
    assert again.parameters.fingerprint() == first.parameters.fingerprint()
    assert (again.curves, again.best, again.seconds) == (first.curves, 1.0, 2.5)


def test_stages_do_not_share_names(tmp_path, counted):
    compute, calls = counted
    Stages(tmp_path).once("alone-shop", compute)
    Stages(tmp_path).once("pooled", compute)

    assert len(calls) == 2


@pytest.mark.parametrize(
    "damage", ["missing note", "missing tensors", "other tensors", "cut note", "cut tensors"]
)
def test_a_damaged_stage_is_computed_again(tmp_path, counted, damage):
    compute, calls = counted
    stages = Stages(tmp_path)
    stages.once("pooled", compute)
    note, tensors = tmp_path / "pooled.json", tmp_path / "pooled.safetensors"
    if damage == "missing note":
        note.unlink()
    elif damage == "missing tensors":
        tensors.unlink()
    elif damage == "other tensors":
        Stages(tmp_path / "other").once("pooled", lambda: trained(seed=4))
        tensors.write_bytes((tmp_path / "other" / "pooled.safetensors").read_bytes())
    elif damage == "cut tensors":
        tensors.write_bytes(tensors.read_bytes()[:-9])
    else:
        note.write_text(note.read_text()[:40])
    stages.once("pooled", compute)

    assert len(calls) == 2


def test_an_encoder_takes_the_parameters():
    parameters = initial_parameters(CONFIG, 9)
    encoder = encoder_of(parameters, CONFIG)

    np.testing.assert_array_equal(
        encoder.event.weight.detach().numpy(), parameters.tensors["event.weight"]
    )
