"""Ways in which a clipped sum silently breaks its bound, each with the test that catches it."""

import dataclasses

import numpy as np
import pytest
import torch
from private_cases import (
    CONFIG,
    assert_same,
    clipped_by_hand,
    difference,
    drawn_batch,
    drawn_content,
    drawn_encoder,
    drawn_negatives,
    drawn_zoo,
    norm,
    rows_of,
    slow_sum,
)
from torch import nn
from torch.nn import functional

from isthmus.errors import PrivacyError
from isthmus_client.dp import clipped_sum, clipped_sum_of

ITEMS = 13
CONTENT, NEGATIVES = drawn_content(ITEMS, 3), drawn_negatives(ITEMS, 7, 4)
IDS = torch.randint(11, (6, 4), generator=torch.Generator().manual_seed(5))


def total(encoder, *batches, content=CONTENT, clipping_norm=0.3):
    return clipped_sum(encoder, batches, content, NEGATIVES, clipping_norm)


def alone(batch):
    return [rows_of(batch, [user]) for user in range(len(batch.items))]


# 1: a trainable weight that is used outside of its module


class OutsideUse(nn.Module):
    """The adapter's weight scores items too, past its module."""

    def __init__(self):
        super().__init__()
        self.adapter = nn.Linear(3, 4)

    def forward(self, histories, items):
        return (self.adapter(histories) @ functional.linear(items, self.adapter.weight).T).sum(
            (1, 2)
        )


def test_pitfall_1_a_weight_used_outside_its_module_is_refused():
    module, histories, items = OutsideUse(), torch.randn(5, 2, 3), torch.randn(6, 3)
    with pytest.raises(PrivacyError, match=r"adapter\.weight"):
        clipped_sum_of(module, [(5, lambda: module(histories, items))], 1.0)


def test_pitfall_1_each_user_alone_emits_no_more_than_the_clipping_norm():
    """With the item side's gradient on, which uses item content outside of the blocks."""
    encoder = drawn_encoder(1, torch.float32)
    emitted = [
        norm(total(encoder, one, content=CONTENT.float()).tensors)
        for one in alone(drawn_batch(20, ITEMS, 2))
    ]
    assert max(emitted) <= 0.3
    assert max(emitted) > 0.29  # the gradients are long, so the bound is what holds them


def test_pitfall_1_one_parameter_of_two_layers_is_refused():
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    inputs = torch.randn(2, 3)
    with pytest.raises(PrivacyError, match="are one parameter"):
        clipped_sum_of(tied, [(2, lambda: tied(inputs).sum(1))], 1.0)


def test_a_layer_called_twice_counts_both_uses_together():
    """Found by the loop in the properties too; here with the norm of the sum, not of the parts."""
    module = nn.Sequential(nn.Linear(3, 3, bias=False))
    left, right = torch.randn(4, 3), torch.randn(4, 3)

    def losses():
        return (module(left) + module(right)).square().sum(1)

    found = clipped_sum_of(module, [(4, losses)], 0.5)
    expected = clipped_by_hand(module, [losses()[user] for user in range(4)], 0.5)
    assert_same(found.tensors, expected, torch.float32)


# 2: a layer that is unfrozen late, a parameter that is not in the norm


def test_pitfall_2_freezing_and_unfreezing_between_steps_is_followed():
    encoder, batch = drawn_encoder(1), drawn_batch(8, ITEMS, 2)
    for frozen in ("blocks.0.qkv.weight", "event.weight", "log_scale", "item.weight"):
        encoder.get_parameter(frozen).requires_grad_(requires_grad=False)
        found = total(encoder, batch)
        assert_same(found.tensors, slow_sum(encoder, batch, CONTENT, NEGATIVES, 0.3), torch.float64)
        assert frozen not in found.tensors
        encoder.get_parameter(frozen).requires_grad_(requires_grad=True)
    found = total(encoder, batch)
    assert_same(found.tensors, slow_sum(encoder, batch, CONTENT, NEGATIVES, 0.3), torch.float64)
    assert set(found.tensors) == {name for name, _ in encoder.named_parameters()}


def test_pitfall_2_a_bare_parameter_in_the_loss_is_refused():
    zoo = drawn_zoo(1)
    zoo.extra = nn.Parameter(torch.ones((), dtype=torch.float64))
    with pytest.raises(PrivacyError, match="extra"):
        clipped_sum_of(zoo, [(6, lambda: zoo(IDS) * zoo.extra)], 1.0)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(4), nn.GRUCell(4, 4), nn.PReLU()])
def test_pitfall_2_an_unknown_layer_is_refused_before_anything_is_computed(layer):
    model = nn.Sequential(nn.Linear(4, 4), layer)
    with pytest.raises(PrivacyError, match=type(layer).__name__):
        clipped_sum_of(model, [(3, lambda: pytest.fail("was computed"))], 1.0)


def test_pitfall_2_a_subclass_of_a_known_layer_is_unknown():
    class Doubled(nn.Linear):
        def forward(self, given):
            return 2 * super().forward(given)

    model = nn.Sequential(Doubled(4, 4))
    with pytest.raises(PrivacyError, match="Doubled"):
        clipped_sum_of(model, [(3, lambda: model(torch.ones(3, 4)).sum(1))], 1.0)


def test_a_frozen_unknown_layer_is_no_matter():
    frozen = nn.BatchNorm1d(4).eval().requires_grad_(requires_grad=False)
    model = nn.Sequential(nn.Linear(4, 4), frozen)
    found = clipped_sum_of(model, [(3, lambda: model(torch.ones(3, 4)).sum(1))], 1.0)
    assert set(found.tensors) == {"0.weight", "0.bias"}


def test_embeddings_with_rules_of_their_own_are_refused():
    model = nn.Sequential(nn.Embedding(5, 3, padding_idx=0))
    with pytest.raises(PrivacyError, match="padding_idx"):
        clipped_sum_of(model, [(2, lambda: model(torch.ones(2, 2).long()).sum((1, 2)))], 1.0)


# 3: the batch dimension taken for another


@pytest.mark.parametrize("users", [1, 4, 5, 6, 7, 9, ITEMS])
def test_pitfall_3_as_many_users_as_positions_negatives_items_or_dimensions(users):
    encoder = drawn_encoder(1)
    batch = drawn_batch(users, ITEMS, users, longest=users if users < 10 else 9)
    for count in {users, 7}:
        negatives = drawn_negatives(ITEMS, count, 6)
        found = clipped_sum(encoder, [batch], CONTENT, negatives, 0.3)
        expected = slow_sum(encoder, batch, CONTENT, negatives, 0.3)
        assert_same(found.tensors, expected, torch.float64)


def test_pitfall_3_a_layer_whose_rows_are_not_users_is_refused():
    zoo = drawn_zoo(1)
    with pytest.raises(PrivacyError, match="6 rows in a batch of 5 users"):
        clipped_sum_of(zoo, [(5, lambda: zoo(IDS)[:5])], 1.0)


# 4: a loss in which users meet


def test_pitfall_4_a_users_gradient_does_not_depend_on_who_else_is_there():
    encoder, batch = drawn_encoder(1), drawn_batch(6, ITEMS, 2)
    apart = [total(encoder, one).tensors for one in alone(batch)]
    summed = {name: sum(tensors[name] for tensors in apart) for name in apart[0]}
    assert_same(total(encoder, batch).tensors, summed, torch.float64)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_pitfall_4_an_adversary_leaves_and_the_sum_moves_by_no_more_than_the_norm(scale):
    """The adversary repeats one item whose content is long, and always misses one target."""
    content = CONTENT.clone()
    content[0] *= scale
    encoder, batch = drawn_encoder(1), drawn_batch(6, ITEMS, 2)
    batch.items[0], batch.targets[0] = 0, 1
    everyone = total(encoder, batch, content=content).tensors
    rest = total(encoder, rows_of(batch, range(1, 6)), content=content).tensors
    assert norm(difference(everyone, rest)) == pytest.approx(0.3, rel=2e-5)
    assert norm(difference(everyone, rest)) <= 0.3


def test_gradients_that_cancel_in_rounding_are_still_bounded():
    """Huge terms of a user's gradient cancel: what rounding hides must not pass as short."""
    source = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 40, bias=False))
    given = 100 * torch.randn(3, 2, 40, generator=source)
    given[:, 1] = given[:, 0] * (1 + 1e-6 * torch.randn(3, 1, generator=source))
    sign = torch.tensor([1.0, -1.0]).view(1, 2, 1)
    found = clipped_sum_of(model, [(3, lambda: (1e3 * sign * model(given)).sum((1, 2)))], 1e-3)
    alone = [
        clipped_sum_of(model, [(1, lambda u=u: (1e3 * sign * model(given[[u]])).sum((1, 2)))], 1e-3)
        for u in range(3)
    ]
    assert all(norm(one.tensors) <= 1e-3 for one in alone)
    assert norm(found.tensors) <= 3e-3


# 6 and 10: nothing depends on how many users there are; nobody is a batch too


def test_pitfall_6_the_sum_is_not_divided_by_the_number_of_users():
    encoder, one = drawn_encoder(1), rows_of(drawn_batch(3, ITEMS, 2), [1])
    single = total(encoder, one).tensors
    five = total(encoder, rows_of(one, [0] * 5)).tensors
    assert_same(five, {name: 5 * tensor for name, tensor in single.items()}, torch.float64)


def test_pitfall_6_one_user_less_changes_no_name_shape_or_type():
    encoder, batch = drawn_encoder(1), drawn_batch(6, ITEMS, 2)
    forms = [
        {name: (t.shape, t.dtype) for name, t in total(encoder, part).tensors.items()}
        for part in (batch, rows_of(batch, range(5)), rows_of(batch, []))
    ]
    assert forms[0] == forms[1] == forms[2]


@pytest.mark.parametrize("batches", [[], [rows_of(drawn_batch(3, ITEMS, 2), [])]])
def test_pitfall_10_nobody_sums_to_zeros(batches):
    encoder = drawn_encoder(1)
    found = total(encoder, *batches)
    assert (found.users, found.within) == (0, 0)
    assert {n: t.shape for n, t in found.tensors.items()} == {
        n: p.shape for n, p in encoder.named_parameters()
    }
    assert norm(found.tensors) == 0


def test_pitfall_10_users_without_any_target_sum_to_zeros():
    found = total(drawn_encoder(1), drawn_batch(4, ITEMS, 2, empty=range(4)))
    assert (found.users, found.within) == (4, 4)
    assert norm(found.tensors) == 0


# 11: a user whose gradient is not finite


@pytest.mark.parametrize("poison", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("column", ["items", "targets"])
def test_pitfall_11_a_user_who_is_not_finite_contributes_nothing(poison, column):
    content = torch.cat([CONTENT, torch.full((1, CONFIG.content), poison)])
    encoder, batch = drawn_encoder(1), drawn_batch(6, ITEMS, 2)
    getattr(batch, column)[2, 0] = ITEMS
    found = total(encoder, batch, content=content)
    others = total(encoder, rows_of(batch, [0, 1, 3, 4, 5]))
    assert_same(found.tensors, others.tensors, torch.float64)
    assert found.users == 6
    assert found.within == others.within


def test_pitfall_11_a_gradient_that_overflows_contributes_nothing():
    model = nn.Sequential(nn.Linear(2, 2))
    given = torch.tensor([[[1.0, 2.0]], [[3e38, 3e38]], [[3.0, 1.0]]])
    found = clipped_sum_of(model, [(3, lambda: model(given).square().sum((1, 2)))], 0.5)
    rest = clipped_sum_of(model, [(2, lambda: model(given[[0, 2]]).square().sum((1, 2)))], 0.5)
    assert_same(found.tensors, rest.tensors, torch.float32)


# 17: floats too narrow for the margin


def test_pitfall_17_autocast_around_a_step_does_not_reach_into_it():
    encoder, batch = drawn_encoder(1, torch.float32), drawn_batch(6, ITEMS, 2)
    plain = total(encoder, batch, content=CONTENT.float())
    with torch.autocast("cpu", torch.bfloat16):
        cast = total(encoder, batch, content=CONTENT.float())
        emitted = [
            norm(total(encoder, one, content=CONTENT.float()).tensors) for one in alone(batch)
        ]
    assert norm(difference(plain.tensors, cast.tensors)) == 0
    assert max(emitted) <= 0.3


def test_pitfall_17_narrow_parameters_are_refused():
    encoder = drawn_encoder(1, torch.bfloat16)
    with pytest.raises(PrivacyError, match="bfloat16"):
        total(encoder, drawn_batch(2, ITEMS, 2), content=CONTENT.bfloat16())


# Around the step


@pytest.mark.parametrize("clipping_norm", [0.0, -1.0, np.inf, np.nan])
def test_a_norm_that_bounds_nothing_is_refused(clipping_norm):
    with pytest.raises(PrivacyError, match="clipping norm"):
        total(drawn_encoder(1), clipping_norm=clipping_norm)


def test_users_within_the_norm_are_counted_and_not_clipped():
    encoder, batch = drawn_encoder(1), drawn_batch(9, ITEMS, 2)
    lengths = sorted(norm(total(encoder, one, clipping_norm=1e9).tensors) for one in alone(batch))
    between = (lengths[3] + lengths[4]) / 2
    assert total(encoder, batch, clipping_norm=between).within == 4


def test_the_step_leaves_the_encoder_as_it_was():
    encoder = drawn_encoder(1)
    before = {name: p.clone() for name, p in encoder.named_parameters()}
    total(encoder, drawn_batch(4, ITEMS, 2))
    assert all(torch.equal(before[name], p) for name, p in encoder.named_parameters())
    assert all(p.grad is None and p.requires_grad for p in encoder.parameters())
    assert not any(module._forward_hooks for module in encoder.modules())


def test_hooks_go_where_the_forward_pass_fails():
    zoo = drawn_zoo(1)

    def failing():
        zoo(IDS)
        raise RuntimeError("a loss of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        clipped_sum_of(zoo, [(6, failing)], 1.0)
    assert not any(module._forward_hooks for module in zoo.modules())


def test_a_sum_prints_nothing_private():
    found = total(drawn_encoder(1), drawn_batch(4, ITEMS, 2))
    assert repr(found) == "ClippedSum()"
    assert [field.name for field in dataclasses.fields(found)] == ["tensors", "users", "within"]
