"""Content vectors, computed once per unique text and kept: one SQLite file per encoder.

The first vector stored for a text is the text's vector from then on: every later reading, in any
process, gets the same bytes. SQLite in WAL mode gives that with a crash at any moment and with
several processes at once; a killed run continues from its last stored block.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from isthmus.errors import DataInvalidError
from isthmus.files import digest
from isthmus.progress import Advance, Progress, Silent
from isthmus_client.text_encoder import TextEncoder, Vectors

BLOCK_TEXTS: Final = 256  # texts between two commits: what a crash can lose, and a step of the bar
BUSY_SECONDS: Final = 60.0  # how long to wait for another process's commit

_TABLE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
_FOUND = "SELECT wanted.place, vectors.vector FROM wanted JOIN vectors USING (key)"


def encode_cached(
    texts: Sequence[str],
    encoder: TextEncoder,
    cache_dir: Path,
    progress: Progress,
    label: str = "Encoding item texts",
) -> Vectors:
    """The vectors of `texts`; only texts that the cache has not seen are encoded. (texts, dim)

    Args:
        texts: may repeat; each unique text is encoded once.
        encoder: its fingerprint names the cache file.
        cache_dir: made where it is missing.
        progress: a bar over the texts that must be encoded; none where all are cached.
        label: of the bar.

    Raises:
        DataInvalidError: the cache is damaged or cannot be written; or the encoder returned a
            wrong shape or a value that is not finite.
    """
    unique = sorted(set(texts), key=lambda text: (len(text), text))
    place = {text: row for row, text in enumerate(unique)}
    keys = [_key(encoder.fingerprint, text) for text in unique]
    path = cache_dir / f"texts-{encoder.fingerprint[:16]}.sqlite"
    with _open(path) as store:
        vectors = _complete(store, keys, unique, encoder, (progress, label))
    table = np.stack(vectors) if vectors else np.empty((0, encoder.dim), dtype=np.float32)
    return np.ascontiguousarray(table[[place[text] for text in texts]])


def _key(fingerprint: str, text: str) -> bytes:
    return bytes.fromhex(digest(fingerprint.encode(), text.encode("utf-8", "surrogatepass")))


def _complete(
    store: sqlite3.Connection,
    keys: Sequence[bytes],
    texts: Sequence[str],
    encoder: TextEncoder,
    bar: tuple[Progress, str],
) -> list[Vectors]:
    """Every key's vector, after the missing ones were encoded and stored. (texts) of (dim,)"""
    found = _lookup(store, keys)
    missing = [row for row in range(len(keys)) if row not in found]
    if missing:
        progress, label = bar
        with progress.track(label, len(missing)) as advance:
            _fill(store, [(keys[row], texts[row]) for row in missing], encoder, advance)
        found = _lookup(store, keys)  # also what another process stored first
    return [found[row] for row in range(len(keys))]


def _fill(
    store: sqlite3.Connection,
    missing: Sequence[tuple[bytes, str]],
    encoder: TextEncoder,
    advance: Advance,
) -> None:
    """Encode and store block by block; a text that another process stored meanwhile keeps its."""
    for start in range(0, len(missing), BLOCK_TEXTS):
        block = missing[start : start + BLOCK_TEXTS]
        vectors = _checked(encoder.encode([text for _, text in block], Silent()), encoder, block)
        rows = [(key, vector.tobytes()) for (key, _), vector in zip(block, vectors, strict=True)]
        with store:
            store.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
        advance(len(block))


def _checked(vectors: Vectors, encoder: TextEncoder, block: Sequence[tuple[bytes, str]]) -> Vectors:
    if vectors.shape != (len(block), encoder.dim):
        raise DataInvalidError(
            f"text encoder {encoder.name} returned shape {vectors.shape}, "
            f"expected {(len(block), encoder.dim)}"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise DataInvalidError(
            f"text encoder {encoder.name} returned a value that is not finite "
            f"for the text {block[bad[0]][1]!r}"
        )
    return np.ascontiguousarray(vectors, dtype="<f4")


def _lookup(store: sqlite3.Connection, keys: Sequence[bytes]) -> dict[int, Vectors]:
    """The stored vectors by place in `keys`."""
    with store:
        store.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (place INTEGER, key BLOB)")
        store.execute("DELETE FROM wanted")
        store.executemany("INSERT INTO wanted VALUES (?, ?)", enumerate(keys))
    rows = store.execute(_FOUND)
    return {place: np.frombuffer(vector, dtype="<f4") for place, vector in rows}


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as store:
            store.execute("PRAGMA journal_mode = WAL")
            store.execute("PRAGMA synchronous = NORMAL")
            store.execute(_TABLE)
            yield store
    except (sqlite3.Error, OSError) as error:
        raise DataInvalidError(
            f"the cache of text vectors {path} cannot be used: {error}",
            hint="check the folder's rights and space; if the file is damaged, delete it",
        ) from error
