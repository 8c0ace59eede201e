"""Averaging over seeds, against a loop."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from transfer_cells import NAMES, platform_facts, values

from isthmus_simulations.transfer.pooling import ALONE, BASELINE, SERVED, SeedView, pool

DRAWS = st.lists(st.sets(st.integers(0, 25), min_size=1, max_size=12), min_size=1, max_size=4)
OWN = st.sampled_from(["popularity", "item_knn", "prior", "local"])


@st.composite
def views(draw):
    found = []
    for seed, users in enumerate(draw(DRAWS)):
        facts = platform_facts(26, incumbent=draw(OWN), served=draw(st.sampled_from(NAMES)))
        found.append(SeedView(seed, facts, values(sorted(users), {}, seed=seed)))
    return found


@given(views())
def test_a_user_is_the_mean_of_the_seeds_that_drew_the_user(seeds):
    pooled = pool(seeds)
    everyone = sorted({int(user) for view in seeds for user in view.values.users})
    assert pooled.users.tolist() == everyone
    for name in (*NAMES, ALONE, BASELINE, SERVED):
        for place, user in enumerate(everyone):
            held = [
                view.ndcg(name)[view.values.users.tolist().index(user)]
                for view in seeds
                if user in view.values.users
            ]
            assert np.isclose(pooled.ndcg[name][place], np.mean(held))


@given(views())
def test_the_order_of_seeds_does_not_matter(seeds):
    forth, back = pool(seeds), pool(seeds[::-1])
    for name in (*NAMES, ALONE, BASELINE, SERVED):
        assert np.allclose(forth.ndcg[name], back.ndcg[name])
    assert np.array_equal(forth.known, back.known)
