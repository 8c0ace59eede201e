"""The shared encoder's shape, for whoever has to know it without PyTorch: the server, a contract.

`isthmus.encoder` builds what is described here; a property test holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any, ClassVar, Final

from isthmus.behaviours import BEHAVIOURS

PRIVATE_ADAPTER_WIDTH: Final = 64  # of 384 numbers
GAP_BUCKETS: Final = 16  # log2 buckets of seconds to the previous event; 0 = first event or untimed

Shape = tuple[int, ...]


@dataclass(frozen=True)
class EncoderConfig:
    """Shapes of the shared encoder; part of the federation contract.

    Attributes:
        content: width of the content vectors (MiniLM: 384).
        dim: width of user and item representations.
        layers: transformer blocks.
        heads: attention heads; divides `dim`.
        expansion: width of a block's feed-forward part, in multiples of `dim`.
        max_events: events of a history that the encoder reads, the latest ones.
        prior_scale: starting sharpness of the prior's cosine in the softmax.
        adapter_width: leading numbers of a content vector that both adapters read, so that fewer
            parameters carry noise; None = all. The prior reads all in any case.
    """

    # How pydantic reads it from outside: no other field.
    __pydantic_config__: ClassVar[Mapping[str, Any]] = MappingProxyType({"extra": "forbid"})

    content: int = 384
    dim: int = 64
    layers: int = 2
    heads: int = 2
    expansion: int = 2
    max_events: int = 50
    prior_scale: float = 5.0
    adapter_width: int | None = None

    @property
    def read(self) -> int:
        """Width of what both adapters read of a content vector."""
        return self.content if self.adapter_width is None else self.adapter_width


def default_encoder(content: int = 384, *, private: bool) -> EncoderConfig:
    """The shapes of a run that names none.

    Args:
        content: width of the content vectors.
        private: whether every parameter carries noise; then the adapters read less, see
            docs/experiments.md, "Narrow adapters where there is noise".
    """
    narrow = min(PRIVATE_ADAPTER_WIDTH, content)
    return EncoderConfig(content=content, adapter_width=narrow if private else None)


def encoder_sha256(config: EncoderConfig) -> str:
    """What an allow-list knows a shape by: SHA-256 of its canonical JSON, 64 hexadecimal digits."""
    text = json.dumps(asdict(config), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()


def tensor_shapes(config: EncoderConfig) -> dict[str, Shape]:
    """Name and shape of every tensor that `isthmus.encoder.initial_encoder` has, sorted by name."""
    dim = config.dim
    shapes: dict[str, Shape] = {
        **_linear("event", config.read, dim),
        "behaviour.weight": (len(BEHAVIOURS) + 1, dim),
        "gap.weight": (GAP_BUCKETS, dim),
        "position.weight": (config.max_events, dim),
        **_norm("norm", dim),
        "item.weight": (dim, config.read),
        "log_scale": (),
    }
    for number in range(config.layers):
        shapes |= _block(f"blocks.{number}", dim, config.expansion * dim)
    return dict(sorted(shapes.items()))


def _block(name: str, dim: int, wide: int) -> dict[str, Shape]:
    return {
        **_norm(f"{name}.norm_attention", dim),
        **_linear(f"{name}.qkv", dim, 3 * dim),
        **_linear(f"{name}.output", dim, dim),
        **_norm(f"{name}.norm_mlp", dim),
        **_linear(f"{name}.widen", dim, wide),
        **_linear(f"{name}.narrow", wide, dim),
    }


def _norm(name: str, dim: int) -> dict[str, Shape]:
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def _linear(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
