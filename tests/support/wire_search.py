"""Look for canaries in bytes: as they are, encoded, and inside what is compressed.

A needle's first eight bytes are looked up in an index of all places, so that many thousands of
needles take seconds.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

import numpy as np

LEAST = 8  # bytes of a needle: 2**64 of them, so that none is there by chance
WINDOW = 24  # bytes of a canary of bytes that are looked for together
VALUES = 4  # neighbouring values of a tensor that are looked for together
_SIGNS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda", b"\x1f\x8b")  # zlib, gzip
_MOST = 64 * 1024 * 1024  # bytes that one compressed stream is inflated to


@dataclass(frozen=True)
class Found:
    """A canary that is there."""

    what: str
    how: str


def texts(what: str, values: Iterable[str]) -> Iterator[tuple[str, str, bytes]]:
    """Needles of texts: (what, how, bytes)."""
    for value in values:
        for codec in ("utf-8", "utf-16-le", "utf-16-be"):
            yield from _forms(what, codec, value.encode(codec))
        for how, encoded in {
            "URL": quote(value, safe=""),
            "form": quote_plus(value),
            "JSON": json.dumps(value)[1:-1],
        }.items():
            yield (what, how, encoded.encode())


def secrets(
    what: str, values: Iterable[bytes], most: int = 200
) -> Iterator[tuple[str, str, bytes]]:
    """Needles of byte strings: windows spread over each, `most` at most."""
    for value in values:
        last = max(len(value) - WINDOW, 0)
        for at in np.unique(np.linspace(0, last, most).astype(int)):
            part = value[at : at + WINDOW]
            if len(set(part)) > WINDOW // 4:  # not a run of zeros or blanks
                yield from _forms(what, "bytes", part)


def numbers(what: str, tensor, most: int = 200) -> Iterator[tuple[str, str, bytes]]:
    """Needles of a tensor's values: four neighbours, as float32 and float64, in both orders."""
    flat = np.asarray(tensor, dtype=np.float64).ravel()
    if flat.size < VALUES:
        for code in ("<f8", ">f8"):
            yield from _forms(what, code, flat.astype(code).tobytes())
        for code in ("<f4", ">f4"):  # too short alone: with the end of the head of a .npy
            yield from _forms(what, f"npy {code}", b"   \n" + flat.astype(code).tobytes())
        return
    for at in np.unique(np.linspace(0, flat.size - VALUES, most).astype(int)):
        values = flat[at : at + VALUES]
        if np.unique(values).size == VALUES and np.isfinite(values).all():
            for code in ("<f4", ">f4", "<f8", ">f8"):
                yield from _forms(what, code, values.astype(code).tobytes())


def _forms(what: str, how: str, plain: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Bytes as they are, in hexadecimal, and in base64 after 0, 1 and 2 other bytes."""
    yield (what, how, plain)
    yield (what, f"{how} in hex", binascii.hexlify(plain))
    yield (what, f"{how} in HEX", binascii.hexlify(plain).upper())
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + plain + b"\0\0\0")
        sure = encoded[4 * bool(shift) : (shift + len(plain)) // 3 * 4]
        yield (what, f"{how} in base64", sure)
        yield (what, f"{how} in base64 for URLs", sure.translate(bytes.maketrans(b"+/", b"-_")))


class Haystack:
    """All places to look in, with what is compressed in them inflated.

    Args:
        places: by name.
    """

    def __init__(self, places: Mapping[str, bytes]) -> None:
        whole = [bytes(data) for data in places.values()]
        self.inflated = [each for data in whole for each in _inflated(data)]
        self.data = (b"\0" * LEAST).join([*whole, *self.inflated])
        padded = self.data + b"\0" * LEAST
        views = [np.frombuffer(padded[at:], "<u8", len(padded[at:]) // 8) for at in range(8)]
        self._starts = np.unique(np.concatenate(views))

    def look(self, needles: Iterable[tuple[str, str, bytes]]) -> set[Found]:
        """Which of them are there."""
        wanted = [each for each in needles if len(each[2]) >= LEAST]
        if not wanted:
            return set()
        starts = np.frombuffer(b"".join(each[2][:LEAST] for each in wanted), "<u8")
        at = np.searchsorted(self._starts, starts).clip(max=self._starts.size - 1)
        likely = np.flatnonzero(self._starts[at] == starts)
        chosen = (wanted[place] for place in likely)
        return {Found(what, how) for what, how, needle in chosen if needle in self.data}


def _inflated(data: bytes) -> Iterator[bytes]:
    for sign in _SIGNS:
        at = data.find(sign)
        while at >= 0:
            made = zlib.decompressobj(wbits=47)  # zlib or gzip, as its head says
            try:
                found = made.decompress(data[at:], _MOST)
            except zlib.error:
                found = b""
            if len(found) > LEAST:
                yield found
            at = data.find(sign, at + 1)
