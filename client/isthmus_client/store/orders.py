"""Order ids as numbers: equal where the ids are, and of no use outside of the store."""

from __future__ import annotations

import hashlib
import hmac

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

_PURPOSE = b"isthmus order ids 1"
_NUMBERS = "SELECT ('0x' || sha256($key || id)[:15])::BIGINT AS number FROM order_ids"


class Orders:
    """Numbers of order ids: 60 bits of SHA-256 over a key and the id, 0 where there is no id.

    DuckDB hashes whole columns. HMAC, which Python would compute one by one, is what SHA-256 alone
    cannot replace where hashes are prolonged; cut to 60 bits they cannot be.

    Guarantees:
        Without the platform's key a number tells nothing about its id.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
        """Args: connection: computes. key: of the keyring's role `pseudonym`."""
        self._connection = connection
        self._key = hmac.new(key, _PURPOSE, hashlib.sha256).hexdigest()[:32]

    def numbers(self, ids: pa.Array) -> npt.NDArray[np.int64] | None:
        """Of a column of ids; None where it has none at all. (rows,)"""
        if ids.null_count == len(ids):
            return None
        coded = ids.dictionary_encode()
        distinct = pa.table({"id": coded.dictionary})
        self._connection.register("order_ids", distinct)
        found = self._connection.sql(_NUMBERS, params={"key": self._key}).to_arrow_table()
        self._connection.unregister("order_ids")
        of_code = np.append(found["number"].to_numpy(), np.int64(0))  # the last one is no id's
        return np.asarray(of_code[coded.indices.fill_null(len(distinct)).to_numpy()])
