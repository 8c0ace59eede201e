"""How long a platform has computed, however busy its machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch


def stopwatch() -> Callable[[], float]:
    """Seconds of processor time since this call, for whoever asks from the same thread.

    Of that thread alone where PyTorch splits no work, so that platforms beside each other in one
    process count their own; otherwise of the whole process, with the threads that PyTorch works
    in. What a GPU does meanwhile counts as far as the processor waits for it.
    """
    clock = time.thread_time if torch.get_num_threads() == 1 else time.process_time
    began = clock()
    return lambda: clock() - began
