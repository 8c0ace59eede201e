"""The shared encoder f_θ, g_θ: the one model that platforms train together.

Score of item i for a user with history h: `a·s·prior(h, i) + <f(h), g(x_i)> + <f(h), r_i> + b_i`.
Here live `f` (a causal transformer over the history's content vectors), `g` (a linear map of the
item's content vector, zero at the start, so that round 0 ranks exactly like the prior) and the
prior's sharpness `s`. `r`, `b` and `a` are private and live with the client.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from isthmus.behaviours import BEHAVIOURS
from isthmus.encoder_config import GAP_BUCKETS, EncoderConfig

__all__ = [
    "GAP_BUCKETS",
    "Block",
    "EncoderConfig",
    "PrivateModule",
    "SharedEncoder",
    "SharedModule",
    "Table",
    "initial_encoder",
]


class SharedModule(nn.Module):
    """Every parameter below a `SharedModule` may be exchanged."""


class PrivateModule(nn.Module):
    """No parameter below a `PrivateModule` ever leaves the platform."""


class Table(nn.Embedding):
    """An embedding whose gradient is one scattered sum: on a CPU half the time of PyTorch's own."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's name
        """Rows of the table. (*shape,) -> (*shape, dim)."""
        return self.weight.index_select(0, input.flatten()).view(*input.shape, self.embedding_dim)


class Block(nn.Module):
    """A pre-norm causal transformer block made of plain linear layers.

    Plain layers because per-user gradient norms need each weight to be used once, in its module.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm_attention = nn.LayerNorm(config.dim)
        self.qkv = nn.Linear(config.dim, 3 * config.dim)
        self.output = nn.Linear(config.dim, config.dim)
        self.norm_mlp = nn.LayerNorm(config.dim)
        self.widen = nn.Linear(config.dim, config.expansion * config.dim)
        self.narrow = nn.Linear(config.expansion * config.dim, config.dim)

    def forward(self, hidden: Tensor) -> Tensor:
        """One block. (batch, seq, dim) -> (batch, seq, dim)."""
        batch, seq, dim = hidden.shape
        qkv = self.qkv(self.norm_attention(hidden))  # (batch, seq, 3 * dim)
        qkv = qkv.view(batch, seq, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)  # (batch, heads, seq, dim / heads)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(batch, seq, dim)
        hidden = hidden + self.output(mixed)
        widened: Tensor = functional.gelu(self.widen(self.norm_mlp(hidden)))
        narrow: Tensor = self.narrow(widened)
        return hidden + narrow


class SharedEncoder(SharedModule):
    """User side `f`, item side `g`, and the sharpness of the prior."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.event = nn.Linear(config.read, config.dim)
        self.behaviour = Table(len(BEHAVIOURS) + 1, config.dim)
        self.gap = Table(GAP_BUCKETS, config.dim)
        self.position = Table(config.max_events, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)
        self.item = nn.Linear(config.read, config.dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(config.prior_scale)))

    def users(self, content: Tensor, behaviours: Tensor, gaps: Tensor) -> Tensor:
        """`f` at every position of left-aligned histories.

        Args:
            content: content vectors of the events. (batch, seq, content)
            behaviours: codes of `isthmus.behaviours`, 0 where padded. (batch, seq)
            gaps: time-gap buckets, see `gap_buckets`. (batch, seq)

        Returns:
            User representations; at a padded position they are meaningless. (batch, seq, dim)
        """
        return self.attend(self.events(content), behaviours, gaps)

    def attend(self, events: Tensor, behaviours: Tensor, gaps: Tensor) -> Tensor:
        """`f` from events that `event` has embedded already, as training does once for each item.

        Args:
            events: (batch, seq, dim)
        """
        batch, seq, _ = events.shape
        position = torch.arange(seq, device=events.device).expand(batch, seq)
        hidden = events + self.behaviour(behaviours) + self.gap(gaps)
        hidden = hidden + self.position(position)  # (batch, seq, dim)
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm(hidden)  # type: ignore[no-any-return]  # nn.Module's call is untyped

    def events(self, content: Tensor) -> Tensor:
        """Events as `attend` takes them. (*shape, content) -> (*shape, dim)."""
        return self.event(content[..., : self.config.read])  # type: ignore[no-any-return]  # nn.Module's call is untyped

    def items(self, content: Tensor) -> Tensor:
        """`g` of items. (items, content) -> (items, dim)."""
        return self.item(content[..., : self.config.read])  # type: ignore[no-any-return]  # nn.Module's call is untyped

    @property
    def scale(self) -> Tensor:
        """Sharpness of the prior's cosine, a positive scalar."""
        return self.log_scale.exp()


def initial_encoder(config: EncoderConfig, seed: int) -> SharedEncoder:
    """A fresh encoder whose item side is zero; the same seed gives the same bytes.

    Built without values first and drawn from a generator of its own: PyTorch's constructors draw
    from one global generator, which platforms that work in parallel would share.
    """
    with torch.device("meta"):
        encoder = SharedEncoder(config)
    encoder.to_empty(device="cpu")
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in encoder.modules():
            _initialise(module, random)
        # Unit-norm content has entries near content^-0.5; this gives hidden entries near 1.
        std = math.sqrt(config.content / config.read)
        encoder.event.weight.normal_(std=std, generator=random)
        encoder.item.weight.zero_()
        encoder.log_scale.fill_(math.log(config.prior_scale))
    return encoder


def _initialise(module: nn.Module, random: torch.Generator) -> None:
    """Values of one module's own parameters."""
    if isinstance(module, nn.LayerNorm):
        module.weight.fill_(1.0)
        module.bias.zero_()
    elif isinstance(module, nn.Embedding):
        module.weight.normal_(std=0.02, generator=random)
    elif isinstance(module, nn.Linear):
        module.weight.normal_(std=0.05, generator=random)
        if module.bias is not None:
            module.bias.zero_()
