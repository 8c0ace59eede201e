"""Members that a federation has to bear: scrambled behaviour, and text that nobody can read.

Neither is an attack. A feed whose item column was joined wrongly looks like the first, a shop in
a language that the text encoder never saw like the second.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import replace
from typing import Final

import numpy as np

from isthmus_client.relations import PlatformTables

_FIRST: Final = 0x4E00  # of the 20 992 characters of the block "CJK Unified Ideographs"
_CHARACTERS: Final = 0x9FFF - _FIRST + 1
_WORD: Final = re.compile(r"\w+")


def shuffle_items(tables: PlatformTables, *, name: str, seed: int) -> PlatformTables:
    """The platform with its events' items dealt out anew over all users and times.

    How often each item is met and how long each history is stay the same, so that popularity is
    all that is left to learn: no user's past says anything about that user's future.

    Args:
        tables: the platform within its limits.
        name: of the platform; with the seed it decides the deal.
        seed: of the run.
    """
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), len(tables.catalogue)])
    histories = tables.histories
    return replace(tables, histories=replace(histories, items=random.permutation(histories.items)))


def foreign_script(tables: PlatformTables) -> PlatformTables:
    """The platform with every word of its texts replaced by two Chinese characters.

    The same word is always the same two characters, so that a person who knew the code could read
    the catalogue; an encoder that was not trained on it finds nothing but unknown signs. It is a
    cipher and no translation: it stands for any language that the text encoder does not know.
    """
    catalogue = tables.catalogue
    texts = tuple(_WORD.sub(_ciphered, text) for text in catalogue.texts)
    return replace(tables, catalogue=replace(catalogue, texts=texts))


def _ciphered(word: re.Match[str]) -> str:
    """Two characters that depend on the word alone, whatever its case."""
    number = int.from_bytes(hashlib.sha256(word.group().lower().encode()).digest()[:8])
    high, low = divmod(number % _CHARACTERS**2, _CHARACTERS)
    return chr(_FIRST + high) + chr(_FIRST + low)
