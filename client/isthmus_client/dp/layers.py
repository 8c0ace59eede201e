"""Which layers the engine knows, and how each one's per-user gradients factor.

A layer that is not named here is refused: a parameter whose gradient is not in a user's norm would
leave the platform unclipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.encoder import Table
from isthmus.errors import PrivacyError
from isthmus_client.dp.contributions import Contribution, Kept, LookedUp, linear

Names = Mapping[str, str]
"""A module's own trainable parameters: their name in the module, then in the model."""
Rule = Callable[[nn.Module, Names, Tensor, Tensor], list[Contribution]]
"""Per-user gradients from (module, names, input, gradient of the loss by the output)."""


def _linear(module: nn.Module, names: Names, given: Tensor, signal: Tensor) -> list[Contribution]:
    """A product: y = W x + b at every position."""
    del module
    signal, given = _positions(signal), _positions(given)
    if "weight" not in names:
        return [Kept(name, signal.sum(dim=1)) for name in names.values()]
    ordered = tuple(names[name] for name in ("weight", "bias") if name in names)
    return linear(ordered, signal, given)


def _layer_norm(
    module: nn.Module, names: Names, given: Tensor, signal: Tensor
) -> list[Contribution]:
    """Scale and shift: y = w * normalised(x) + b, over the last dimension or more."""
    assert isinstance(module, nn.LayerNorm)
    shape = list(module.normalized_shape)
    users = len(signal)
    found: list[Contribution] = []
    if "weight" in names:
        plain = functional.layer_norm(given, shape, eps=module.eps)
        found.append(Kept(names["weight"], (plain * signal).view(users, -1, *shape).sum(dim=1)))
    if "bias" in names:
        found.append(Kept(names["bias"], signal.reshape(users, -1, *shape).sum(dim=1)))
    return found


def _embedding(
    module: nn.Module, names: Names, given: Tensor, signal: Tensor
) -> list[Contribution]:
    """Rows of a table; scattered where the table is no longer than the input."""
    assert isinstance(module, nn.Embedding)
    odd = module.padding_idx, module.max_norm, module.scale_grad_by_freq, module.sparse
    if odd != (None, None, False, False):
        raise PrivacyError(
            f"{names['weight']}: an embedding with padding_idx, max_norm, scale_grad_by_freq or "
            "sparse has a gradient of its own rules",
            hint="use a plain embedding",
        )
    rows, ids, signal = module.num_embeddings, given.flatten(1), signal.flatten(1, -2)
    if rows > 2 * ids.shape[1]:
        return [LookedUp(names["weight"], signal, ids)]
    users, width = len(ids), signal.shape[2]
    table = signal.new_zeros(users * rows, width)
    own = torch.arange(users, device=ids.device).unsqueeze(1) * rows  # where a user's table starts
    table.index_add_(0, (own + ids).flatten(), signal.flatten(0, 1))
    return [Kept(names["weight"], table.view(users, rows, width))]


RULES: Final[Mapping[type[nn.Module], Rule]] = {
    nn.Linear: _linear,
    nn.LayerNorm: _layer_norm,
    nn.Embedding: _embedding,
    Table: _embedding,
}


def rule_for(module: nn.Module, name: str) -> Rule:
    """The rule of a module with trainable parameters of its own.

    A subclass may compute anything, so only the very class counts.

    Raises:
        PrivacyError: names the module and its class.
    """
    if type(module) not in RULES:
        known = ", ".join(sorted(kind.__name__ for kind in RULES))
        raise PrivacyError(
            f"no per-user norm is known for {name or 'the model'} ({type(module).__name__})",
            hint=f"build it of {known}, or freeze its parameters",
        )
    return RULES[type(module)]


def _positions(tensor: Tensor) -> Tensor:
    """(users, ..., width) -> (users, seq, width)."""
    return tensor.unsqueeze(1) if tensor.dim() == 2 else tensor.flatten(1, -2)  # noqa: PLR2004
