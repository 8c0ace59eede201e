"""A stopwatch counts what its platform computes, and not what others do meanwhile."""

import threading
import time

import pytest
import torch

from isthmus_client.computing import stopwatch
from isthmus_client.training import threads


def _compute(seconds: float) -> None:
    began = time.thread_time()
    while time.thread_time() - began < seconds:
        pass


def _elsewhere(seconds: float) -> None:
    other = threading.Thread(target=_compute, args=(seconds,))
    other.start()
    other.join()


def test_computing_counts() -> None:
    with threads(1):
        spent = stopwatch()
        _compute(0.05)
        assert 0.05 <= spent() < 0.5


def test_waiting_does_not() -> None:
    with threads(1):
        spent = stopwatch()
        threading.Event().wait(0.2)
        assert spent() < 0.1


def test_another_thread_is_another_platform_where_pytorch_splits_no_work() -> None:
    with threads(1):
        spent = stopwatch()
        _elsewhere(0.2)
        assert spent() < 0.1


def test_another_thread_is_pytorchs_own_where_it_splits_its_work() -> None:
    with threads(2):
        spent = stopwatch()
        _elsewhere(0.2)
        assert spent() >= 0.2


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_it_goes_by_one_clock_whatever_happens_to_the_threads(before: int, after: int) -> None:
    with threads(before):
        spent = stopwatch()
        torch.set_num_threads(after)
        assert 0 <= spent() < 0.5
