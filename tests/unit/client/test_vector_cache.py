"""A text is encoded once, and its vector is the same bytes ever after."""

import sqlite3
from contextlib import contextmanager

import numpy as np
import pytest
from tiny_encoder import HashEncoder

from isthmus.errors import DataInvalidError
from isthmus.progress import Silent
from isthmus_client.vector_cache import BLOCK_TEXTS, encode_cached


class Recorder:
    """A progress that remembers its bars."""

    def __init__(self):
        self.bars = []

    @contextmanager
    def track(self, label, total):
        bar = [label, total, 0]
        self.bars.append(bar)

        def advance(steps):
            bar[2] += steps

        yield advance

    def say(self, text):
        raise AssertionError(text)


def test_each_unique_text_is_encoded_once_and_in_its_place(tmp_path):
    encoder = HashEncoder()
    texts = ["pen", "red pen", "pen", "", "red pen"]
    vectors = encode_cached(texts, encoder, tmp_path / "deep" / "cache", Silent())
    assert sorted(encoder.asked) == ["", "pen", "red pen"]
    assert vectors.dtype == np.float32
    assert vectors.flags.c_contiguous
    np.testing.assert_array_equal(vectors, np.stack([encoder.vector(text) for text in texts]))


def test_only_missing_texts_are_encoded_and_shown(tmp_path):
    encode_cached(["a", "b"], HashEncoder(), tmp_path, Silent())
    encoder, progress = HashEncoder(), Recorder()
    encode_cached(["b", "c", "a", "d"], encoder, tmp_path, progress, label="Items")
    assert encoder.asked == ["c", "d"]
    assert progress.bars == [["Items", 2, 2]]


def test_a_full_cache_needs_no_encoder(tmp_path):
    class Unloadable(HashEncoder):
        def encode(self, texts, progress):
            raise AssertionError(texts, progress)

    first = encode_cached(["a", "b"], HashEncoder(), tmp_path, Silent())
    progress = Recorder()
    again = encode_cached(["b", "a"], Unloadable(), tmp_path, progress)
    assert again.tobytes() == first[::-1].tobytes()
    assert progress.bars == []


def test_the_stored_vector_is_the_vector(tmp_path):
    """A later encoder that differs in the last bits does not change what was stored."""

    class Rounded(HashEncoder):
        def vector(self, text):
            return np.nextafter(super().vector(text), np.float32(9))

    first = encode_cached(["a"], HashEncoder(), tmp_path, Silent())
    later = encode_cached(["a", "b"], Rounded(), tmp_path, Silent())
    assert later[0].tobytes() == first[0].tobytes()


def test_encoders_do_not_share_vectors(tmp_path):
    encode_cached(["a"], HashEncoder(), tmp_path, Silent())
    other = HashEncoder(fingerprint="cd" * 32, dim=3)
    assert encode_cached(["a"], other, tmp_path, Silent()).shape == (1, 3)
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_an_interrupted_run_keeps_its_finished_blocks(tmp_path):
    class Interrupted(HashEncoder):
        def encode(self, texts, progress):
            if self.asked:
                raise KeyboardInterrupt
            return super().encode(texts, progress)

    texts = [f"text {number:04}" for number in range(BLOCK_TEXTS + 10)]
    with pytest.raises(KeyboardInterrupt):
        encode_cached(texts, Interrupted(), tmp_path, Silent())
    encoder = HashEncoder()
    vectors = encode_cached(texts, encoder, tmp_path, Silent())
    assert len(encoder.asked) == 10
    np.testing.assert_array_equal(vectors, np.stack([encoder.vector(text) for text in texts]))


def test_no_texts(tmp_path):
    assert encode_cached([], HashEncoder(), tmp_path, Silent()).shape == (0, 5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused_and_not_stored(tmp_path, bad):
    class Broken(HashEncoder):
        def vector(self, text):
            return np.where(text == "poison", np.float32(bad), super().vector(text))

    with pytest.raises(DataInvalidError, match="not finite for the text 'poison'"):
        encode_cached(["fine", "poison"], Broken(), tmp_path, Silent())
    assert encode_cached(["poison"], HashEncoder(), tmp_path, Silent()).shape == (1, 5)


def test_a_wrong_shape_is_refused(tmp_path):
    class Short(HashEncoder):
        def encode(self, texts, progress):
            return super().encode(texts, progress)[:, 1:]

    with pytest.raises(DataInvalidError, match=r"returned shape \(1, 4\), expected \(1, 5\)"):
        encode_cached(["a"], Short(), tmp_path, Silent())


def test_a_damaged_cache_says_which_file_to_delete(tmp_path):
    encode_cached(["a"], HashEncoder(), tmp_path, Silent())
    (file,) = tmp_path.glob("*.sqlite")
    file.write_bytes(b"not a database, " * 99)
    with pytest.raises(DataInvalidError, match=file.name) as caught:
        encode_cached(["a"], HashEncoder(), tmp_path, Silent())
    assert "delete" in caught.value.hint


def test_a_cache_folder_that_is_a_file(tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(DataInvalidError, match="cache"):
        encode_cached(["a"], HashEncoder(), tmp_path / "cache", Silent())


def test_the_store_survives_a_crash_by_design(tmp_path):
    encode_cached(["a"], HashEncoder(), tmp_path, Silent())
    (file,) = tmp_path.glob("*.sqlite")
    store = sqlite3.connect(file)
    mode = store.execute("PRAGMA journal_mode").fetchone()
    store.close()
    assert mode == ("wal",)
