"""The frozen encoder from a folder: the shipped one, any other, and folders that are none."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tiny_encoder import save_tiny_encoder

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.progress import Silent
from isthmus_client.text_encoder import DEFAULT_NAME, HuggingFaceEncoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def test_a_plain_hugging_face_folder_is_an_encoder(folder):
    encoder = HuggingFaceEncoder(folder)
    vectors = encoder.encode(["red pen", "blue ink"], Silent())
    assert (encoder.name, encoder.dim) == ("tiny", 12)
    assert vectors.shape == (2, 12)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()


def test_rows_keep_their_places_whatever_the_batch(folder):
    encoder = HuggingFaceEncoder(folder)
    texts = [" ".join(["red", "pen", "and", "blue", "ink"][: 1 + row % 5]) for row in range(150)]
    together = encoder.encode(texts, Silent())
    alone = np.concatenate([encoder.encode([text], Silent()) for text in texts[:10]])
    np.testing.assert_allclose(together[:10], alone, atol=1e-6)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_torch_threads_are_given_back(folder):
    import torch  # noqa: PLC0415 - seconds of import, paid by this file's tests only

    before = torch.get_num_threads()
    HuggingFaceEncoder(folder, threads=before + 3).encode(["red"], Silent())
    assert torch.get_num_threads() == before


def test_the_shipped_encoder_knows_what_resembles_what():
    encoder = HuggingFaceEncoder()
    assert encoder.name == DEFAULT_NAME
    pizza, pie, soap = encoder.encode(["frozen pizza", "pizza, frozen", "hand soap"], Silent())
    assert encoder.dim == 384
    assert pizza @ pie > pizza @ soap + 0.3


def test_the_fingerprint_follows_weights_and_settings_not_documents(folder, tmp_path):
    fingerprint = HuggingFaceEncoder(folder).fingerprint
    copy = shutil.copytree(folder, tmp_path / "other-name")
    (copy / "README.md").write_text("a document")
    (copy / ".hidden").write_text("a note")
    assert HuggingFaceEncoder(copy).fingerprint == fingerprint
    settings = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**settings, "layer_norm_eps": 1e-5}))
    assert HuggingFaceEncoder(copy).fingerprint != fingerprint
    weights = save_tiny_encoder(tmp_path / "weights", seed=4)
    assert HuggingFaceEncoder(weights).fingerprint != fingerprint


def test_the_fingerprint_loads_no_library(folder):
    code = (
        "import sys; from pathlib import Path\n"
        "from isthmus_client.text_encoder import HuggingFaceEncoder\n"
        f"print(HuggingFaceEncoder(Path({str(folder)!r})).fingerprint)\n"
        "assert not {'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == HuggingFaceEncoder(folder).fingerprint


def test_loading_stays_off_the_network(folder):
    HuggingFaceEncoder(folder).encode(["red"], Silent())
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataMissingError, match="nowhere is not there"):
        _ = HuggingFaceEncoder(tmp_path / "nowhere").fingerprint


def test_a_folder_without_weights(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataInvalidError, match="is no text encoder"):
        _ = HuggingFaceEncoder(tmp_path).fingerprint


def test_pickled_weights_are_not_enough(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "pickled")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(DataInvalidError, match="safetensors"):
        HuggingFaceEncoder(copy).encode(["red"], Silent())


@pytest.mark.parametrize(
    ("file", "content"),
    [("config.json", '{"model_type": "no-such-model"}'), ("model.safetensors", "damaged")],
)
def test_a_folder_that_cannot_be_loaded(folder, tmp_path, file, content):
    copy = shutil.copytree(folder, tmp_path / "broken")
    (copy / file).write_text(content)
    with pytest.raises(DataInvalidError, match="cannot be loaded"):
        HuggingFaceEncoder(copy).encode(["red"], Silent())
