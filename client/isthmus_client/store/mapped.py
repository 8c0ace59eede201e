"""Arrays in sealed bytes, opened as read-only memory that is on no disk.

The bytes are a safetensors file. Opened, they lie in an anonymous memory file (`memfd_create`,
Linux), which nobody can write to any more, and numpy reads them where they are. Other processes
can map the same memory by its descriptor. Where the system has no such files, an unlinked
temporary file takes its place; there the opened bytes touch the disk, if no name.
"""

from __future__ import annotations

import json
import mmap
import os
import sys
import tempfile
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

Arrays = Mapping[str, npt.NDArray[Any]]
"""By name."""

_KINDS: Final = {"U8": np.uint8, "I8": np.int8, "I32": np.int32, "I64": np.int64, "F32": np.float32}


def packed(arrays: Arrays) -> bytes:
    """Arrays as a safetensors file."""
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


def map_descriptor(descriptor: int) -> Arrays:
    """Read-only arrays over the memory of a descriptor of `opened`, which may then be closed."""
    memory = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    start = 8 + int.from_bytes(memory[:8], "little")
    entries = json.loads(memory[8:start])
    return {name: _array(memory, start, entry) for name, entry in entries.items()}


def _array(memory: mmap.mmap, start: int, entry: dict[str, Any]) -> npt.NDArray[Any]:
    kind = np.dtype(_KINDS[entry["dtype"]])
    begin, end = entry["data_offsets"]
    if begin == end:
        return np.empty(entry["shape"], dtype=kind)
    count = (end - begin) // kind.itemsize
    return np.frombuffer(memory, kind, count, start + begin).reshape(entry["shape"])


def opened(data: bytes) -> int:
    """A descriptor of memory that holds the bytes and lets nobody change them."""
    if sys.platform != "linux":
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            return os.dup(file.fileno())
    import fcntl  # noqa: PLC0415 - with seals on Linux alone

    descriptor = os.memfd_create("isthmus", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(os.dup(descriptor), "wb") as file:  # noqa: PTH123 - a descriptor has no path
        file.write(data)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor
