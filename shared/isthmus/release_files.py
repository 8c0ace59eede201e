"""The encoder's file: safetensors whose metadata say what the encoder is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safetensors.numpy import save

from isthmus.parameters import Shared

ENCODER_NAME: Final = "encoder.safetensors"
FORMAT: Final = "isthmus-encoder-1"
_LENGTH: Final = 8  # bytes of the header's length, which also aligns the tensors


@dataclass(frozen=True)
class TextEncoderName:
    """Which frozen text encoder a release reads; "" where a release does not say.

    Attributes:
        fingerprint: of `isthmus_client.text_encoder.TextEncoder`.
    """

    name: str = ""
    fingerprint: str = ""


UNSAID: Final = TextEncoderName()
"""Of a release that does not say what it reads."""


def encoder_file(
    encoder: Shared,
    config: Mapping[str, Any],
    *,
    taken_after: int,
    text_encoder: TextEncoderName = UNSAID,
) -> bytes:
    """The content of `encoder.safetensors`: the same for the same arguments.

    Args:
        encoder: the parameters.
        config: the encoder's shapes, as `isthmus.encoder_config.EncoderConfig` takes them.
        taken_after: the round.
        text_encoder: that the encoder reads.

    Raises:
        TypeError, ValueError: the shapes are no plain values.
    """
    metadata = {
        "format": FORMAT,
        "config": json.dumps(dict(config), sort_keys=True, allow_nan=False),
        "fingerprint": encoder.fingerprint(),
        "round": str(taken_after),
        "text_encoder": text_encoder.name,
        "text_encoder_fingerprint": text_encoder.fingerprint,
    }
    return _canonical(save(dict(encoder.tensors), metadata))


def _canonical(data: bytes) -> bytes:
    """The same file with its header's keys sorted: the library writes metadata in any order."""
    size = int.from_bytes(data[:_LENGTH], "little")
    header = json.loads(data[_LENGTH : _LENGTH + size])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)  # tensors stay aligned
    return len(text).to_bytes(_LENGTH, "little") + text + data[_LENGTH + size :]
