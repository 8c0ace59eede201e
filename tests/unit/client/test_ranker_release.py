"""A released ranker comes back as it was, or is refused by its own name with what to do."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.errors import DataInvalidError
from isthmus.parameters import Shared
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus.ranker_public import public_ranker
from isthmus_client import release as release_module
from isthmus_client.release import RANKER_NAME, load_release, write_encoder, write_ranker

CONFIG = EncoderConfig(content=12, dim=8, layers=1, max_events=6)
ENCODER = split(initial_encoder(CONFIG, seed=5))[0]


@pytest.fixture
def ranker():
    made = initial_ranker(RankerConfig(), seed=3)
    with torch.no_grad():
        made.narrow.weight.fill_(0.25)
    return split(made)[0]


def written(folder, ranker, encoder=ENCODER):
    write_encoder(ENCODER, asdict(CONFIG), folder, taken_after=3)
    return write_ranker(ranker, folder, encoder=encoder)


def metadata(folder, ranker, **changes):
    """Write the ranker's file again with other metadata."""
    path = written(folder, ranker)
    with release_module.safe_open(path, framework="numpy") as opened:
        known = opened.metadata()
    save_file(load_file(path), path, {**known, **changes})


def test_a_ranker_comes_back_ready_to_compute(tmp_path, ranker):
    written(tmp_path, ranker)
    release = load_release(tmp_path)
    assert release.ranker.fingerprint() == ranker.fingerprint()
    assert split(release.ranker_module())[0].fingerprint() == ranker.fingerprint()
    assert release.fingerprint == ENCODER.fingerprint()


def test_without_a_ranker_the_public_one_stands_in(tmp_path):
    write_encoder(ENCODER, asdict(CONFIG), tmp_path, taken_after=3)
    release = load_release(tmp_path)
    assert release.ranker is None
    stands_in, public = split(release.ranker_module())[0], split(public_ranker())[0]
    assert stands_in.fingerprint() == public.fingerprint()


@pytest.mark.parametrize("length", [0, 7, 200])
def test_a_torn_file_is_named(tmp_path, ranker, length):
    path = written(tmp_path, ranker)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataInvalidError, match=rf"{RANKER_NAME} is damaged") as caught:
        load_release(tmp_path)
    assert "again" in caught.value.hint


def test_one_altered_value_is_found(tmp_path, ranker):
    path = written(tmp_path, ranker)
    body = bytearray(path.read_bytes())
    body[-2] ^= 0x40
    path.write_bytes(bytes(body))
    with pytest.raises(DataInvalidError, match=rf"{RANKER_NAME}: fingerprint"):
        load_release(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "isthmus-ranker-2"}, "format is 'isthmus-ranker-2'"),
        ({"signals": '["popularity", "moon"]'}, "reads other signals .*moon"),
        ({"encoder": "0" * 64}, "encoder is '0000"),
        ({"fingerprint": "f" * 64}, "fingerprint is 'ffff"),
    ],
)
def test_metadata_that_do_not_fit_are_told(tmp_path, ranker, changes, words):
    metadata(tmp_path, ranker, **changes)
    with pytest.raises(DataInvalidError, match=words) as caught:
        load_release(tmp_path)
    assert caught.value.hint


def test_a_ranker_of_other_signals_says_which_version_to_install(tmp_path, ranker):
    metadata(tmp_path, ranker, signals='["popularity"]')
    with pytest.raises(DataInvalidError) as caught:
        load_release(tmp_path)
    assert "version" in caught.value.hint


def test_a_file_without_metadata_is_refused(tmp_path, ranker):
    path = written(tmp_path, ranker)
    save_file(load_file(path), path)
    with pytest.raises(DataInvalidError, match="format is None"):
        load_release(tmp_path)


def test_the_ranker_of_another_encoder_is_refused(tmp_path, ranker):
    written(tmp_path, ranker, encoder=split(initial_encoder(CONFIG, seed=6))[0])
    with pytest.raises(DataInvalidError, match="encoder is"):
        load_release(tmp_path)


def test_a_value_that_is_not_finite_is_refused(tmp_path, ranker):
    bad = {n: np.full_like(t, np.nan) for n, t in ranker.tensors.items()}
    written(tmp_path, Shared(bad))
    with pytest.raises(DataInvalidError, match="not finite"):
        load_release(tmp_path)


def test_a_file_of_other_numbers_is_damage(tmp_path, ranker):
    path = written(tmp_path, ranker)
    save_file({"linear.weight": np.zeros(3)}, path, {"format": "isthmus-ranker-1"})
    with pytest.raises(DataInvalidError, match=rf"{RANKER_NAME} is damaged.*float64"):
        load_release(tmp_path)


def test_other_shapes_are_told_when_it_is_to_compute(tmp_path, ranker):
    narrow = {n: t[..., :4] for n, t in ranker.tensors.items()}
    written(tmp_path, Shared({n: np.ascontiguousarray(t) for n, t in narrow.items()}))
    with pytest.raises(DataInvalidError, match="ranker cannot be used by this version"):
        load_release(tmp_path).ranker_module()
