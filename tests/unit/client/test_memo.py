"""Values made once, kept while there is room, let go on request."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from planted_histories import random_platform

from isthmus_client.memo import Memo
from isthmus_client.signals.cut import inner_cuts, window_cut
from isthmus_client.signals.facts import facts_at
from isthmus_client.workspace import CUTS, Workspace


def test_what_was_asked_for_longest_ago_goes_first():
    memo, made = Memo(2), []
    for key in (b"a", b"b", b"a", b"c", b"a", b"b"):
        value = memo.get(key, lambda key=key: made.append(key) or key * 2)
        assert value == key * 2
    assert made == [b"a", b"b", b"c", b"b"]
    assert len(memo) == 2
    memo.clear()
    assert len(memo) == 0


def test_threads_get_one_and_the_same():
    memo = Memo(3)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: memo.get(b"key", object), range(200)))
    assert len({id(value) for value in found}) == 1


def test_every_cut_of_a_workspace_has_its_own_facts_once():
    workspace = Workspace(random_platform(users=20, items=9), 6)
    cuts = [*inner_cuts(workspace), *(window_cut(workspace, w) for w in ("validation", "test"))]
    assert len(cuts) <= CUTS
    facts = [facts_at(workspace, cut) for cut in cuts]
    assert len({id(each) for each in facts}) == len(cuts)
    again = window_cut(workspace, "test")
    assert facts_at(workspace, again) is facts[-1]
    assert facts[-1].collaborative is facts_at(workspace, again).collaborative
    workspace.facts.clear()
    fresh = facts_at(workspace, again)
    assert fresh is not facts[-1]
    np.testing.assert_array_equal(fresh.collaborative.ridge, facts[-1].collaborative.ridge)
