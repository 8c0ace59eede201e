"""Against Opacus, on a model whose per-user gradients Opacus gets right."""

import warnings

import pytest
import torch
from private_cases import assert_same, norm
from torch import nn

from isthmus_client.dp import clipped_sum_of
from isthmus_client.dp.clipping import MARGIN

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Opacus 1.6 uses what PyTorch has renamed
    from opacus.grad_sample import GradSampleModule


class Small(nn.Module):
    """No layer is called twice, positions come as (users, seq), all is batch first."""

    def __init__(self):
        super().__init__()
        self.item, self.place = nn.Embedding(9, 6), nn.Embedding(5, 6)
        self.norm, self.wide, self.head = nn.LayerNorm(6), nn.Linear(6, 8), nn.Linear(8, 9)

    def forward(self, ids):
        place = torch.arange(ids.shape[1]).expand_as(ids)
        hidden = self.wide(self.norm(self.item(ids) + self.place(place)))
        return self.head(nn.functional.gelu(hidden))


def losses(model, ids):
    """The next id at each position; the mean over a user's own. (users,)."""
    scores = model(ids[:, :-1])
    each = nn.functional.cross_entropy(scores.transpose(1, 2), ids[:, 1:], reduction="none")
    return each.mean(dim=1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("clipping_norm", [0.2, 1.5, 50.0])
def test_clipped_sum_is_that_of_opacus_hooks(clipping_norm):
    torch.manual_seed(3)
    model, ids = Small().double(), torch.randint(9, (12, 6))
    ours = clipped_sum_of(model, [(12, lambda: losses(model, ids))], clipping_norm)
    theirs = GradSampleModule(model, batch_first=True, loss_reduction="sum")
    losses(theirs, ids).sum().backward()
    samples = {name: p.grad_sample for name, p in theirs._module.named_parameters()}
    norms = torch.stack([s.flatten(1).norm(dim=1) for s in samples.values()]).norm(dim=0)
    factors = (clipping_norm * (1 - MARGIN) / norms).clamp_max(1.0)
    expected = {n: torch.einsum("u,u...->...", factors, s) for n, s in samples.items()}
    assert_same(ours.tensors, expected, torch.float64)
    assert norm(expected) > 0
