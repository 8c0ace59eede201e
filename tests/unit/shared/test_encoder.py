"""The shared encoder: starts as the prior, looks only back, and is the same bytes from a seed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from isthmus.behaviours import BEHAVIOURS
from isthmus.border import split
from isthmus.encoder import GAP_BUCKETS, EncoderConfig, initial_encoder

CONFIG = EncoderConfig(content=5, dim=12, layers=2, heads=3, max_events=9)


@pytest.fixture
def encoder():
    """Not the initial one: its item side is no longer zero, and positions speak up."""
    made = initial_encoder(CONFIG, seed=4)
    with torch.no_grad():
        made.item.weight.normal_(generator=torch.Generator().manual_seed(1))
        made.position.weight.mul_(50)
    return made.eval()


def inputs(users=3, seq=9, seed=0):
    source = torch.Generator().manual_seed(seed)
    return (
        torch.randn(users, seq, 5, generator=source),
        torch.randint(1, len(BEHAVIOURS) + 1, (users, seq), generator=source),
        torch.randint(0, GAP_BUCKETS, (users, seq), generator=source),
    )


def test_shapes_and_types(encoder):
    users = encoder.users(*inputs(users=4, seq=7))
    assert (users.shape, users.dtype) == ((4, 7, 12), torch.float32)
    assert encoder.items(torch.zeros(6, 5)).shape == (6, 12)
    assert encoder.scale.shape == ()
    assert initial_encoder(CONFIG, 0).scale.item() == pytest.approx(CONFIG.prior_scale)


def test_adapters_read_leading_numbers_alone():
    """Fewer parameters, and hidden entries as large as before."""
    config = EncoderConfig(content=400, dim=12, layers=1, heads=3, max_events=9, adapter_width=25)
    encoder = initial_encoder(config, seed=4)
    assert encoder.event.weight.shape == encoder.item.weight.shape == (12, 25)
    content = torch.nn.functional.normalize(torch.randn(300, 400), dim=1)
    beyond = content.clone()
    beyond[:, 25:] = 7.0
    assert torch.equal(encoder.events(content), encoder.events(beyond))
    assert torch.equal(encoder.items(content), encoder.items(beyond))
    assert encoder.events(content).std().item() == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("changed", range(3))
@pytest.mark.parametrize("place", [1, 4, 8])
def test_no_position_looks_ahead(encoder, place, changed):
    before = inputs()
    after = [part.clone() for part in before]
    after[changed][:, place:] = inputs(seed=9)[changed][:, place:]
    old, new = encoder.users(*before), encoder.users(*after)
    torch.testing.assert_close(old[:, :place], new[:, :place], rtol=0, atol=1e-6)
    assert not torch.allclose(old[:, place:], new[:, place:], atol=1e-3)


def test_padding_after_a_history_changes_nothing(encoder):
    content, behaviours, gaps = inputs(users=1, seq=4)
    pad = 5
    longer = (
        torch.cat([content, torch.zeros(1, pad, 5)], dim=1),
        torch.cat([behaviours, torch.zeros(1, pad, dtype=torch.long)], dim=1),
        torch.cat([gaps, torch.zeros(1, pad, dtype=torch.long)], dim=1),
    )
    alone, padded = encoder.users(content, behaviours, gaps), encoder.users(*longer)
    torch.testing.assert_close(alone, padded[:, :4], rtol=0, atol=1e-5)


def test_users_of_a_batch_do_not_see_each_other(encoder):
    together = encoder.users(*inputs())
    for row in range(3):
        alone = encoder.users(*(part[[row]] for part in inputs()))
        torch.testing.assert_close(together[[row]], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("changed", range(3))
def test_content_behaviour_and_gap_all_speak(encoder, changed):
    other = list(inputs())
    other[changed] = inputs(seed=9)[changed]
    assert not torch.allclose(encoder.users(*inputs()), encoder.users(*other), atol=1e-3)


def test_the_order_of_events_speaks(encoder):
    content, behaviours, gaps = inputs(users=1, seq=3)
    swapped = content[:, [1, 0, 2]]
    same = torch.ones_like(behaviours)
    old, new = encoder.users(content, same, gaps * 0), encoder.users(swapped, same, gaps * 0)
    assert not torch.allclose(old[:, 2], new[:, 2], atol=1e-3)


def test_the_item_side_is_linear_and_zero_at_the_start(encoder):
    content = torch.randn(6, 5)
    torch.testing.assert_close(encoder.items(2 * content), 2 * encoder.items(content))
    assert torch.count_nonzero(initial_encoder(CONFIG, seed=4).items(content)) == 0


def test_a_seed_gives_the_same_bytes_and_another_seed_others():
    one, again, other = (split(initial_encoder(CONFIG, seed))[0] for seed in (7, 7, 8))
    assert one.fingerprint() == again.fingerprint()
    assert one.fingerprint() != other.fingerprint()


def test_making_an_encoder_leaves_the_callers_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    initial_encoder(CONFIG, seed=7)
    assert torch.equal(torch.rand(4), expected)


def test_no_value_is_left_over_from_whatever_was_in_memory():
    expected = split(initial_encoder(CONFIG, seed=7))[0].fingerprint()
    for value in (float("nan"), 1e30):
        rubbish = [torch.full_like(p, value) for p in initial_encoder(CONFIG, 0).parameters()]
        del rubbish
        assert split(initial_encoder(CONFIG, seed=7))[0].fingerprint() == expected


def test_encoders_made_in_threads_are_the_same():
    expected = split(initial_encoder(CONFIG, seed=7))[0].fingerprint()
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: initial_encoder(CONFIG, seed=7), range(200)))
    assert {split(encoder)[0].fingerprint() for encoder in made} == {expected}


def test_everything_in_it_may_be_exchanged():
    shared, private = split(initial_encoder(CONFIG, seed=7))
    names = {name for name, _ in initial_encoder(CONFIG, seed=7).named_parameters()}
    assert set(shared.tensors) == names
    assert private.tensors == {}
    assert all(np.isfinite(tensor).all() for tensor in shared.tensors.values())


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_any_number_of_layers(layers):
    made = initial_encoder(EncoderConfig(content=5, dim=4, layers=layers, heads=1), seed=0)
    assert len(made.blocks) == layers
    assert torch.isfinite(made.users(*inputs())).all()


def test_padding_alone_gives_no_nan(encoder):
    nothing = torch.zeros(2, 1, dtype=torch.long)
    assert torch.isfinite(encoder.users(torch.zeros(2, 1, 5), nothing, nothing)).all()
