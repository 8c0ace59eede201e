"""User ids to numbers by way of pseudonyms; ids stay in this process's memory."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from isthmus_client.store.segments import PSEUDONYM
from isthmus_client.vault import pseudonyms

FORGOTTEN: Final = -1
"""The number of a person who asked to be forgotten."""

PSEUDONYMS: Final = pa.binary(PSEUDONYM)
"""The type of a column of pseudonyms."""


class People:
    """Numbers of the users of a store, growing as new ones come.

    Guarantees:
        What can be read from it to be stored are pseudonyms. An id is only kept in memory, to spare
        its second HMAC.
    """

    def __init__(self, key: bytes, stored: pa.Array, forgotten: Collection[str]) -> None:
        """Start from what is stored.

        Args:
            key: of the keyring's role `pseudonym`.
            stored: pseudonyms by number. (users,)
            forgotten: pseudonyms in hexadecimal.
        """
        self._key = key
        self._pseudonyms = stored
        self._forgotten = pa.array([bytes.fromhex(text) for text in sorted(forgotten)], PSEUDONYMS)
        self._ids = pa.array([], pa.string())
        self._numbers = np.empty(0, dtype=np.int32)  # of `_ids`

    @property
    def pseudonyms(self) -> pa.Array:
        """By number, as fixed-size binary. (users,)"""
        return self._pseudonyms

    def numbers(self, ids: Sequence[pa.Array]) -> list[npt.NDArray[np.int32]]:
        """The numbers of users' ids; FORGOTTEN where a person is.

        Args:
            ids: as they come, without nulls; several batches, none empty. (rows,) each
        """
        # The ids that were met before go first, so that they get the codes that they had.
        coded = pa.chunked_array([self._ids, *ids]).dictionary_encode()
        new = coded.chunk(0).dictionary[len(self._ids) :]
        if len(new):
            self._number_new(new)
        return [self._numbers[chunk.indices.to_numpy()] for chunk in coded.chunks[-len(ids) :]]

    def _number_new(self, ids: pa.Array) -> None:
        """Give numbers to ids that this process has not met."""
        hashed = pa.array(pseudonyms(self._key, ids.to_pylist()), PSEUDONYMS)
        stored = pc.index_in(hashed, value_set=self._pseudonyms).fill_null(-1).to_numpy()
        gone = self.gone(hashed).to_numpy(zero_copy_only=False)
        new = (stored < 0) & ~gone
        numbers = stored.astype(np.int32)
        numbers[new] = len(self._pseudonyms) + np.arange(int(new.sum()))
        numbers[gone] = FORGOTTEN
        self._pseudonyms = pa.concat_arrays([self._pseudonyms, hashed.filter(pa.array(new))])
        self._ids = pa.concat_arrays([self._ids, ids])
        self._numbers = np.concatenate([self._numbers, numbers])

    def named(self, ids: pa.Array) -> pa.Array:
        """Pseudonyms of a column of ids, null where it is; gives nobody a number. (rows,)"""
        coded = ids.dictionary_encode()
        hashed = pa.array(pseudonyms(self._key, coded.dictionary.to_pylist()), PSEUDONYMS)
        return hashed.take(coded.indices)

    def gone(self, named: pa.Array) -> pa.Array:
        """Which pseudonyms are of persons who are forgotten. (rows,)"""
        return pc.is_in(named, value_set=self._forgotten)


def no_people() -> pa.Array:
    """Pseudonyms of nobody."""
    return pa.array([], PSEUDONYMS)
