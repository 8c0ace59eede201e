"""A release: shared encoder and shared ranker, each a safetensors file that says what it is.

Its metadata hold the format, the encoder's shapes, the fingerprint of its values, the round after
which it was taken, and which text encoder made the content vectors that it reads. A model card may
stand beside it; it must name the same fingerprint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from isthmus.border import merge
from isthmus.encoder import EncoderConfig, SharedEncoder, initial_encoder
from isthmus.errors import DataInvalidError, DataMissingError, MessageRefusedError
from isthmus.files import digest, write_bytes
from isthmus.parameters import Shared
from isthmus.ranker import SIGNALS, SharedRanker
from isthmus.ranker_public import public_ranker
from isthmus.release_files import ENCODER_NAME, FORMAT, UNSAID, TextEncoderName, encoder_file

RANKER_NAME: Final = "ranker.safetensors"
CARD_NAME: Final = "model-card.md"
RANKER_FORMAT: Final = "isthmus-ranker-1"
_AGAIN: Final = "copy the release again, or write it anew by running the simulation"


@dataclass(frozen=True)
class Release:
    """A released encoder.

    Attributes:
        config: the encoder's shapes, as `isthmus.encoder.EncoderConfig` takes them.
        fingerprint: `encoder.fingerprint()`, checked on loading; `whole` names both parts.
        round: after which it was taken.
        ranker: the shared ranker; None where the release has none (one under differential privacy,
            for instance), and the public ranker stands in.
    """

    encoder: Shared
    config: Mapping[str, Any]
    fingerprint: str
    round: int
    text_encoder: TextEncoderName = UNSAID
    ranker: Shared | None = None

    @property
    def whole(self) -> str:
        """Fingerprint of the whole release, the encoder's own where it has no ranker."""
        if self.ranker is None:
            return self.fingerprint
        return fingerprint_of(self.encoder, self.ranker)

    @property
    def size(self) -> int:
        """Number of parameters of both parts."""
        return self.encoder.size + (0 if self.ranker is None else self.ranker.size)

    def ranker_module(self) -> SharedRanker:
        """The ranker, or the public one that stands in; ready to compute.

        Raises:
            DataInvalidError: it reads other signals than this version makes.
        """
        ranker = public_ranker()
        try:
            if self.ranker is not None:
                merge(ranker, self.ranker)
        except MessageRefusedError as error:
            raise DataInvalidError(
                f"the release's ranker cannot be used by this version: {error}",
                hint="install the version of Isthmus that its model card names",
            ) from error
        return ranker

    def module(self) -> SharedEncoder:
        """The encoder, ready to compute.

        Raises:
            DataInvalidError: shapes and values do not fit together, or not this version.
        """
        try:
            encoder = initial_encoder(EncoderConfig(**self.config), seed=0)
            merge(encoder, self.encoder)
        except (TypeError, ValueError, RuntimeError, MessageRefusedError) as error:
            raise DataInvalidError(
                f"the release {self.fingerprint[:16]} cannot be used by this version: {error}",
                hint="install the version of Isthmus that its model card names",
            ) from error
        return encoder


def write_encoder(
    encoder: Shared,
    config: Mapping[str, Any],
    folder: Path,
    *,
    taken_after: int,
    text_encoder: TextEncoderName = UNSAID,
) -> Path:
    """Write `encoder.safetensors` into `folder`, wholly or not at all; its path.

    Raises:
        TypeError, ValueError: the shapes are no plain values.
        OSError: the folder cannot be written or the disk is full.
    """
    path = folder / ENCODER_NAME
    write_bytes(
        path, encoder_file(encoder, config, taken_after=taken_after, text_encoder=text_encoder)
    )
    return path


def write_ranker(ranker: Shared, folder: Path, *, encoder: Shared) -> Path:
    """Write `ranker.safetensors` beside its encoder, wholly or not at all; its path.

    Args:
        encoder: whose score the ranker has learned to read.

    Raises:
        OSError: the folder cannot be written or the disk is full.
    """
    metadata = {
        "format": RANKER_FORMAT,
        "signals": json.dumps(SIGNALS),
        "fingerprint": ranker.fingerprint(),
        "encoder": encoder.fingerprint(),
    }
    path = folder / RANKER_NAME
    write_bytes(path, save(dict(ranker.tensors), metadata))
    return path


def fingerprint_of(encoder: Shared, ranker: Shared) -> str:
    """Of a whole release: both parts together."""
    return digest(encoder.fingerprint().encode(), ranker.fingerprint().encode())


def load_release(folder: Path) -> Release:
    """Read a release and check that it is what its card and its own metadata say.

    Raises:
        DataMissingError: there is no encoder in `folder`.
        DataInvalidError: it is damaged, of another format, or not the one that the card describes.
    """
    path = folder / ENCODER_NAME
    if not path.is_file():
        raise DataMissingError(f"no release: {path} is not there", hint="name a release's folder")
    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        release = _checked(path, Shared(tensors), metadata)
        return replace(release, ranker=_ranker(folder / RANKER_NAME, release.fingerprint))
    except (SafetensorError, MessageRefusedError, ValueError, KeyError, TypeError) as error:
        raise DataInvalidError(f"{path} is damaged: {error}", hint=_AGAIN) from error


def _checked(path: Path, encoder: Shared, metadata: Mapping[str, str]) -> Release:
    """The release, if metadata, card and values agree."""
    if metadata.get("format") != FORMAT:
        raise DataInvalidError(
            f"{path} has format {metadata.get('format')!r}, expected {FORMAT!r}", hint=_AGAIN
        )
    stated, real = metadata["fingerprint"], encoder.fingerprint()
    if stated != real:
        raise DataInvalidError(
            f"{path} was altered: fingerprint {real}, its metadata say {stated}", hint=_AGAIN
        )
    if not encoder.is_finite():
        raise DataInvalidError(f"{path} holds a value that is not finite", hint=_AGAIN)
    _check_card(path, real, "encoder")
    reads = TextEncoderName(
        metadata.get("text_encoder", ""), metadata.get("text_encoder_fingerprint", "")
    )
    config = json.loads(metadata["config"])
    return Release(encoder, config, real, int(metadata["round"]), reads)


def _check_card(path: Path, fingerprint: str, part: str) -> None:
    """Refuse a file of which the card beside it, where there is one, says nothing."""
    card = path.with_name(CARD_NAME)
    if card.is_file() and fingerprint not in card.read_text(encoding="utf-8", errors="replace"):
        raise DataInvalidError(f"{card} describes another {part} than {path}", hint=_AGAIN)


def _ranker(path: Path, encoder: str) -> Shared | None:
    """The ranker beside an encoder, None where there is none."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        ranker = Shared(tensors)
    except (SafetensorError, MessageRefusedError) as error:
        raise DataInvalidError(f"{path} is damaged: {error}", hint=_AGAIN) from error
    _check_ranker(path, ranker, metadata, encoder)
    _check_card(path, ranker.fingerprint(), "ranker")
    return ranker


def _check_ranker(path: Path, ranker: Shared, metadata: Mapping[str, str], encoder: str) -> None:
    """Refuse a ranker of other signals, of another encoder, or that was altered."""
    if metadata.get("signals", json.dumps(SIGNALS)) != json.dumps(SIGNALS):
        raise DataInvalidError(
            f"{path} reads other signals than this version makes: {metadata['signals']}",
            hint="install the version of Isthmus that its model card names",
        )
    wanted = {"format": RANKER_FORMAT, "signals": json.dumps(SIGNALS), "encoder": encoder}
    for key, value in {**wanted, "fingerprint": ranker.fingerprint()}.items():
        if metadata.get(key) != value:
            raise DataInvalidError(
                f"{path}: {key} is {metadata.get(key)!r}, expected {value!r}", hint=_AGAIN
            )
    if not ranker.is_finite():
        raise DataInvalidError(f"{path} holds a value that is not finite", hint=_AGAIN)


def require_text_encoder(release: Release, name: str, fingerprint: str) -> None:
    """Refuse a text encoder that made other content vectors than the release was trained on.

    A release that does not say what it reads passes; its width is checked with the platform's.

    Raises:
        DataInvalidError: names both encoders.
    """
    reads = release.text_encoder
    known = reads.fingerprint or reads.name
    if known and known != (fingerprint if reads.fingerprint else name):
        raise DataInvalidError(
            f"the release reads content vectors of the text encoder {reads.name} "
            f"({reads.fingerprint[:16] or 'no fingerprint'}), yours is {name} "
            f"({fingerprint[:16]})",
            hint="name the folder of the release's text encoder with --encoder",
        )
