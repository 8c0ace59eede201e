"""A dictionary that turns a column of words or ids into codes without a loop over rows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.rows.texts import trimmed

FEW: Final = 65_536  # words up to which it is faster to hash them anew for each batch


class Lookup:
    """Codes of words or ids; the order of rows is kept.

    Few words are left to Arrow's `index_in`, which builds their hash table at each call. Of many
    words a dictionary is made once, in which only a batch's distinct ids are looked up. Either is
    faster than a hash join, whose table would be built for each batch as well.

    Args:
        words: distinct text. (words,)
        codes: an integer each. (words,)
    """

    def __init__(self, words: pa.Array, codes: pa.Array) -> None:
        self._words, self._codes = words, codes

    @classmethod
    def of(cls, codes: Mapping[str, int]) -> Lookup:
        """The same from {word: code}; codes fit into 8 bits."""
        return cls(pa.array(list(codes), pa.string()), pa.array(list(codes.values()), pa.int8()))

    def find(self, column: pa.Array) -> pa.Array:
        """The code of each text; null where it is unknown. (rows,)."""
        if len(self._words) <= FEW:
            return self._codes.take(pc.index_in(column, value_set=self._words))
        distinct = column.dictionary_encode()
        codes = map(self._dictionary.get, distinct.dictionary.to_pylist())
        return pa.array(codes, self._codes.type).take(distinct.indices)

    def find_trimmed(self, column: pa.Array) -> pa.Array:
        """The same for words that may have white space around them. (rows,)."""
        found = self.find(column)
        if found.null_count == column.null_count:
            return found
        return self.find(trimmed(column))

    @cached_property
    def _dictionary(self) -> dict[str, int]:
        return dict(zip(self._words.to_pylist(), self._codes.to_pylist(), strict=True))
