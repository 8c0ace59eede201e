"""The one place where a model is split at the privacy border, and the one where it is merged.

A model's direct children are each a `SharedModule` or a `PrivateModule`; a parameter that is under
neither is a programming error and is refused, so that nothing is shared by accident.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from isthmus.encoder import PrivateModule, SharedModule
from isthmus.errors import OutboxError
from isthmus.parameters import Private, Shared


def split(model: nn.Module) -> tuple[Shared, Private]:
    """A model's parameters on either side of the border, as copies.

    Guarantees:
        The first value holds no parameter and no buffer of any `PrivateModule`; every parameter
        is in exactly one of the two.

    Raises:
        OutboxError: a parameter is under neither kind of module, or under both, or not float32.
    """
    shared: dict[str, torch.Tensor] = {}
    private: dict[str, torch.Tensor] = {}
    for name, value, is_shared in _sided(model):
        (shared if is_shared else private)[name] = value
    return Shared(_arrays(shared)), Private(_arrays(private))


def merge(model: nn.Module, shared: Shared, private: Private | None = None) -> None:
    """Write values into a model in place; private parameters stay as they are where not given.

    Raises:
        MessageRefusedError: names or shapes differ from the model's.
    """
    mine, own = split(model)
    mine.require_shapes(shared)
    if private is not None:
        Shared(own.tensors).require_shapes(Shared(private.tensors))
    values = {**shared.tensors, **(private.tensors if private is not None else {})}
    with torch.no_grad():
        for name, parameter, _ in _sided(model):
            if name in values:
                parameter.copy_(torch.from_numpy(values[name].copy()))


def _sided(model: nn.Module) -> Iterator[tuple[str, torch.Tensor, bool]]:
    """Every parameter with its name and whether it is shared.

    One that is tied to another, or a view of its memory, counts on the sides of both.
    """
    kinds: dict[int, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        kinds.setdefault(_memory(parameter), set()).update(_owners(model, name))
    for name, parameter in model.named_parameters():
        sides = kinds[_memory(parameter)]
        if len(sides) != 1:
            raise OutboxError(
                f"parameter {name!r} is under {sorted(sides) or 'no'} module of the privacy border",
                hint="put it below exactly one SharedModule or PrivateModule",
            )
        if parameter.dtype != torch.float32:
            raise OutboxError(f"parameter {name!r} is {parameter.dtype}, must be float32")
        yield name, parameter.detach(), sides == {"shared"}


def _memory(parameter: torch.Tensor) -> int:
    """What two parameters have in common if one is a view of the other."""
    return parameter.untyped_storage().data_ptr() or id(parameter)


def _owners(model: nn.Module, name: str) -> set[str]:
    """Which kinds of module stand between the model and the named parameter."""
    kinds: set[str] = set()
    module: nn.Module = model
    for part in [None, *name.split(".")[:-1]]:
        module = module if part is None else module.get_submodule(part)
        if isinstance(module, SharedModule):
            kinds.add("shared")
        if isinstance(module, PrivateModule):
            kinds.add("private")
    return kinds


def _arrays(tensors: dict[str, torch.Tensor]) -> dict[str, npt.NDArray[np.float32]]:
    return {name: tensor.cpu().numpy().copy() for name, tensor in tensors.items()}
