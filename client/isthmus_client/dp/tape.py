"""One forward and one backward through activations only, with every layer's two factors on tape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.errors import PrivacyError
from isthmus_client.dp.contributions import Contribution
from isthmus_client.dp.layers import RULES, Names, Rule, rule_for

Sink = Callable[[Tensor], None]


class Tape:
    """Collects per-user gradients of a model's layers while its loss runs backward.

    No gradient of a parameter is computed: the backward pass stops at each layer's output, where
    the layer's rule turns input and signal into per-user gradients at once, so that both can be
    freed.

    Args:
        users: first dimension of every layer's input and output.

    Guarantees:
        The parameters whose gradient the loss has are those whose per-user gradients are on tape,
        each as often as it was used, or `backward` raises: a weight that is used outside of its
        module, unfrozen late, or part of a layer that the tape does not know is found in
        autograd's own graph.
    """

    def __init__(self, module: nn.Module, users: int) -> None:
        self._users = users
        self._anchor = torch.zeros(0, requires_grad=True)
        self._names = {id(p): name for name, p in module.named_parameters() if p.requires_grad}
        self._layers = dict(_layers(module))
        self._open: Counter[nn.Module] = Counter()  # calls whose signal is still to come
        self._seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {}
        self._used: Counter[str] = Counter()
        self._found: list[Contribution] = []

    def watch(self) -> list[torch.utils.hooks.RemovableHandle]:
        """Hooks on every layer; remove them after the forward pass."""
        return [layer.register_forward_hook(self._tap_layer) for layer in self._layers]

    def tap(self, output: Tensor, sink: Sink) -> Tensor:
        """The same tensor, whose gradient will be handed to `sink`."""
        tapped: Tensor = _Tap.apply(output, self._anchor, sink)  # type: ignore[no-untyped-call]  # torch ships it untyped
        return tapped

    def _tap_layer(self, layer: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor:
        (activation,) = given
        if len(activation) != self._users or len(output) != self._users:
            raise PrivacyError(
                f"{self._where(layer)}: a layer of {len(activation)} rows in a batch of "
                f"{self._users} users",
                hint="the first dimension of every layer's input must be the users",
            )
        self._open[layer] += 1
        kept = activation.detach()
        return self.tap(output, lambda signal: self._collect(layer, kept, signal))

    def _collect(self, layer: nn.Module, activation: Tensor, signal: Tensor) -> None:
        self._seen.setdefault(layer, []).append((activation, signal))
        self._open[layer] -= 1
        if not self._open[layer]:
            self._close(layer)

    def _close(self, layer: nn.Module) -> None:
        """Per-user gradients of a layer, all its uses together."""
        seen = self._seen.pop(layer)
        names, rule = self._layers[layer]
        self._used.update({name: len(seen) for name in names.values()})
        if len(seen) == 1:
            self._found += rule(layer, names, *seen[0])
            return
        width = seen[0][1].shape[-1]
        inputs = [given.reshape(self._users, -1, *_last(layer, given)) for given, _ in seen]
        signals = [signal.reshape(self._users, -1, width) for _, signal in seen]
        self._found += rule(layer, names, torch.cat(inputs, 1), torch.cat(signals, 1))

    def backward(
        self, outputs: Sequence[Tensor], signals: Sequence[Tensor | None]
    ) -> list[Contribution]:
        """Per-user gradients of all layers.

        Args:
            outputs: where the backward pass starts.
            signals: gradients of the loss by each; None for a scalar that is the loss.

        Raises:
            PrivacyError: a parameter has a gradient that is not on tape.
        """
        edges = parameter_edges(outputs, self._names)
        torch.autograd.grad(outputs, [self._anchor], signals, allow_unused=True)
        for layer in list(self._seen):
            self._close(layer)
        if edges != self._used:
            odd = sorted(name for name in edges | self._used if edges[name] != self._used[name])
            raise PrivacyError(
                f"gradients that no per-user norm contains: {', '.join(odd)}",
                hint="use each weight only by calling its module",
            )
        return self._found

    def _where(self, layer: nn.Module) -> str:
        return ", ".join(self._layers[layer][0].values())


def _last(layer: nn.Module, given: Tensor) -> tuple[int, ...]:
    """Width of an input's entries; ids have none."""
    return () if isinstance(layer, nn.Embedding) else (given.shape[-1],)


@contextmanager
def recorded(module: nn.Module, users: int) -> Iterator[Tape]:
    """A tape that watches the module's layers inside the block."""
    tape = Tape(module, users)
    handles = tape.watch()
    try:
        yield tape
    finally:
        for handle in handles:
            handle.remove()


def _layers(module: nn.Module) -> Iterator[tuple[nn.Module, tuple[Names, Rule]]]:
    """Modules with trainable parameters of their own, their names and rules.

    Parameters directly on the root are the caller's to answer for: the graph is checked for them.

    Raises:
        PrivacyError: a layer is of unknown kind, or two layers share a parameter.
    """
    owner: dict[int, str] = {}
    for place, layer in module.named_modules():
        own = {n: p for n, p in layer.named_parameters(recurse=False) if p.requires_grad}
        names = {name: f"{place}.{name}" if place else name for name in own}
        for name, parameter in own.items():
            if (first := owner.setdefault(id(parameter), names[name])) != names[name]:
                raise PrivacyError(
                    f"{first} and {names[name]} are one parameter",
                    hint="call one module twice instead of sharing its weight",
                )
        if own and (place or type(layer) in RULES):
            yield layer, (names, rule_for(layer, place))


def parameter_edges(outputs: Sequence[Tensor], names: Mapping[int, str]) -> Counter[str]:
    """How often autograd's graph uses each named parameter.

    Args:
        names: by identity of the parameter.
    """
    edges: Counter[str] = Counter()
    waiting = [output.grad_fn for output in outputs if output.grad_fn is not None]
    seen = set(waiting)
    while waiting:
        for node, _ in waiting.pop().next_functions:
            if node is None:
                continue
            name = names.get(id(getattr(node, "variable", None)))
            if name is not None:
                edges[name] += 1
            elif node not in seen:
                seen.add(node)
                waiting.append(node)
    return edges


class _Tap(torch.autograd.Function):
    """The identity; its backward pass hands the gradient on to a sink too."""

    @staticmethod
    def forward(ctx: Any, output: Tensor, anchor: Tensor, sink: Sink) -> Tensor:
        del anchor  # makes the result require a gradient where the inputs are data
        ctx.sink = sink
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, None, None]:
        (signal,) = gradients
        sink, ctx.sink = ctx.sink, None  # it holds the layer's input, which may go now
        sink(signal)
        return (signal if ctx.needs_input_grad[0] else None), None, None
