"""The stream of ChaCha20, and what must never share it."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest
from scipy import stats

from isthmus.privacy.randomness import SecureSource


def fixed(count):
    return bytes(range(count))


def test_uniforms_are_above_zero_and_up_to_one():
    found = SecureSource().uniforms(200_000)
    assert 0 < found.min() < 1e-4
    assert 1 - 1e-4 < found.max() <= 1
    assert stats.kstest(found, "uniform").pvalue > 1e-6


@pytest.mark.parametrize("count", [0, 1, 2, 7, 2**14, 2**14 + 1])
def test_so_many_normals_as_asked_for(count):
    assert SecureSource().normals(count).shape == (count,)


def test_normals_are_normal_and_independent():
    found = SecureSource().normals(400_001)
    assert stats.kstest(found, "norm").pvalue > 1e-6
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.01
    half = 2**13  # the two numbers of one pair
    one, other = found[:half], found[half : 2 * half]
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.06
    assert abs(np.corrcoef(one**2, other**2)[0, 1]) < 0.06
    turn = np.arctan2(other, one) / (2 * np.pi) + 0.5
    assert stats.kstest(turn, "uniform").pvalue > 1e-6


def test_it_is_chacha20():
    block = np.frombuffer(SecureSource(fixed).words(8).tobytes(), np.uint8)
    again = np.frombuffer(SecureSource(fixed).words(8).tobytes(), np.uint8)
    assert (block == again).all()  # nothing else than key and nonce decides
    assert block.size == 64
    assert np.unique(block).size > 40


def test_no_seed_of_another_generator_plays_a_part():
    draws = []
    for _ in range(2):
        np.random.seed(1)  # noqa: NPY002 - the very generator that must not matter
        draws.append(SecureSource().normals(8))
    assert not np.array_equal(*draws)


@pytest.mark.parametrize(
    "twin",
    [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))],  # noqa: S301 - our own bytes
)
def test_a_copy_draws_for_itself(twin):
    source = SecureSource()
    source.words(3)
    other = twin(source)
    assert not np.array_equal(source.words(8), other.words(8))


def _send(source, pipe):
    pipe.send(source.words(8))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_draws_for_itself():
    source = SecureSource()
    mine, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=_send, args=(source, theirs))
    child.start()
    drawn = mine.recv()
    child.join()
    assert not np.array_equal(drawn, source.words(8))
