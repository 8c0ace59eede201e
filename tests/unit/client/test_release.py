"""A release says what it is and which text encoder it reads; what does not fit is refused."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from isthmus.border import split
from isthmus.encoder import EncoderConfig, initial_encoder
from isthmus.errors import DataInvalidError
from isthmus.parameters import Shared
from isthmus.ranker import RankerConfig, initial_ranker
from isthmus_client.release import (
    ENCODER_NAME,
    TextEncoderName,
    load_release,
    require_text_encoder,
    write_encoder,
)

CONFIG = EncoderConfig(content=12, dim=8, layers=1, max_events=6)
MINE = TextEncoderName("tiny", "a" * 64)


@pytest.fixture(scope="module")
def encoder():
    return split(initial_encoder(CONFIG, seed=5))[0]


def written(encoder, folder, **changes):
    settings = {"taken_after": 3, "text_encoder": MINE, **changes}
    write_encoder(encoder, asdict(CONFIG), folder, **settings)
    return load_release(folder)


def test_a_release_comes_back_with_its_text_encoder(encoder, tmp_path):
    release = written(encoder, tmp_path)
    assert release.text_encoder == MINE
    assert release.round == 3
    assert split(release.module())[0].fingerprint() == encoder.fingerprint()


@pytest.mark.parametrize(
    ("reads", "name", "fingerprint"),
    [
        (MINE, "another-folder", "a" * 64),  # the same bytes under another name
        (TextEncoderName("tiny"), "tiny", "b" * 64),  # a name is all that it says
        (TextEncoderName(), "whatever", "b" * 64),
    ],
)
def test_a_text_encoder_that_fits_passes(encoder, tmp_path, reads, name, fingerprint):
    require_text_encoder(written(encoder, tmp_path, text_encoder=reads), name, fingerprint)


def test_another_text_encoder_is_refused_with_both_names(encoder, tmp_path):
    release = written(encoder, tmp_path)
    with pytest.raises(DataInvalidError, match=r"encoder tiny .*yours is mine") as caught:
        require_text_encoder(release, "mine", "b" * 64)
    assert "--encoder" in caught.value.hint


def test_shapes_that_do_not_fit_the_values_are_told(encoder, tmp_path):
    write_encoder(encoder, {**asdict(CONFIG), "dim": 16}, tmp_path, taken_after=0)
    with pytest.raises(DataInvalidError, match="cannot be used by this version"):
        load_release(tmp_path).module()


def test_shapes_of_a_later_version_are_told(encoder, tmp_path):
    write_encoder(encoder, {**asdict(CONFIG), "experts": 4}, tmp_path, taken_after=0)
    with pytest.raises(DataInvalidError, match="experts"):
        load_release(tmp_path).module()


def test_a_value_that_is_not_finite_is_refused(encoder, tmp_path):
    name = next(iter(encoder.tensors))
    bad = {**encoder.tensors, name: np.full_like(encoder.tensors[name], np.nan)}
    with pytest.raises(DataInvalidError, match="not finite"):
        written(Shared(bad), tmp_path)


def test_missing_metadata_are_damage_not_a_traceback(encoder, tmp_path):
    path = write_encoder(encoder, asdict(CONFIG), tmp_path, taken_after=0)
    save_file(load_file(path), path, {"format": "isthmus-encoder-1"})
    with pytest.raises(DataInvalidError, match="damaged: 'fingerprint'"):
        load_release(tmp_path)


def test_a_file_of_other_numbers_is_damage(encoder, tmp_path):
    path = write_encoder(encoder, asdict(CONFIG), tmp_path, taken_after=0)
    save_file({"w": np.zeros(3)}, path, {"format": "isthmus-encoder-1"})
    with pytest.raises(DataInvalidError, match="float64"):
        load_release(tmp_path)
    assert (tmp_path / ENCODER_NAME).is_file()


def test_a_release_is_named_by_both_its_parts(encoder, tmp_path):
    alone = written(encoder, tmp_path)
    assert (alone.whole, alone.size) == (alone.fingerprint, encoder.size)
    rankers = [split(initial_ranker(RankerConfig(), seed))[0] for seed in (1, 2)]
    one, other = (replace(alone, ranker=ranker) for ranker in rankers)
    assert len({alone.whole, one.whole, other.whole}) == 3
    assert one.size == encoder.size + rankers[0].size
