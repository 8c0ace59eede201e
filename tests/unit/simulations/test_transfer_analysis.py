"""What is planted in made-up cells is found: harm as harm, equality as equality."""

import numpy as np
import pytest
from transfer_cells import NAMES, analysed, cell, platform_facts, quality, seeds_of, values

from isthmus_simulations.transfer.models import CANDIDATE, RECIPE


def shop(results):
    (found,) = results.platforms
    return found


def goal(results, beginning):
    (found,) = [goal for goal in results.goals if goal.name.startswith(beginning)]
    return found


def test_a_planted_harm_is_reported_as_harm():
    results = analysed(seeds_of({CANDIDATE: -0.08}))
    main = shop(results).comparisons["candidate"]
    assert main.verdict == "harmed"
    assert not main.no_harm
    assert main.difference.relative == pytest.approx(-0.08, abs=0.02)
    assert results.summary.harmed_always == 1
    assert goal(results, "platforms harmed > 1 %, candidate always served").met is False


def test_a_harm_that_the_gate_keeps_out_harms_nobody():
    results = analysed(seeds_of({CANDIDATE: -0.08}, incumbent="local", served="local"))
    served = shop(results).comparisons["served"]
    assert (served.difference.difference, served.verdict) == (0.0, "equal")
    assert served.lifts == (0.0, 0.0, 0.0)
    assert results.summary.harmed_served == 0
    assert results.summary.cells_harmed_served == 0
    assert goal(results, "platforms harmed > 1 %, what the gate serves").met is True


def test_a_harm_that_the_gate_lets_through_is_counted_in_every_seed():
    results = analysed(seeds_of({CANDIDATE: -0.08}, served=CANDIDATE, noise=0.05))
    assert results.summary.harmed_served == 1
    assert results.summary.cells_harmed_served == 3
    assert shop(results).served == {CANDIDATE: 3}


def test_equal_models_are_equal_and_not_a_gain():
    main = shop(analysed(seeds_of({}, noise=0.05))).comparisons["candidate"]
    assert main.verdict == "equal"
    assert main.no_harm


def test_noise_alone_gains_nowhere_and_harms_as_seldom_as_promised():
    """The control: on forty platforms every model is the same up to noise."""
    shops = {
        f"shop{place}": (platform_facts(60), values(range(60), {}, noise=0.3, seed=place))
        for place in range(40)
    }
    said = analysed([cell(**shops)]).summary.verdicts
    assert "gains" not in said
    assert said.get("harmed", 0) <= 4  # 5 % of the half that is behind, and some luck
    assert said["unclear"] >= 36


def test_shuffled_models_show_no_lift():
    """A lift that is there goes away when each user's values are dealt to models at random."""
    planted = seeds_of({CANDIDATE: 0.3})
    assert shop(analysed(planted)).comparisons["candidate"].verdict == "gains"
    random = np.random.default_rng(4)
    for each in planted:
        each.values["shop"].ndcg[:] = random.permuted(each.values["shop"].ndcg, axis=0)
    assert shop(analysed(planted)).comparisons["candidate"].verdict in {"unclear", "equal"}


def test_alone_is_the_incumbent_of_each_seed():
    first = cell(
        1, shop=(platform_facts(50, incumbent="prior"), values(range(50), {"prior": 0.5}, noise=0))
    )
    second = cell(
        2, shop=(platform_facts(50, incumbent="local"), values(range(50), {"local": 1.0}, noise=0))
    )
    found = shop(analysed([first, second]))
    assert found.incumbents == {"prior": 1, "local": 1}
    assert found.comparisons["candidate"].lifts == pytest.approx((1 / 1.5 - 1, 1 / 2 - 1))


def test_the_harder_baseline_is_the_best_on_the_test_users():
    found = shop(analysed(seeds_of({"item_knn": 0.2, "local": 0.1}, incumbent="local")))
    assert found.strongest == "item_knn"
    assert found.comparisons["harder"].baseline == "item_knn"
    harder, main = found.comparisons["harder"], found.comparisons["candidate"]
    assert harder.difference.relative < main.difference.relative


def test_a_user_counts_once_however_many_seeds_drew_the_user():
    """Three seeds with the same users and values are one seed three times, not three times data."""
    one = [cell(1, shop=(platform_facts(200), values(range(200), {CANDIDATE: 0.05}, seed=9)))]
    three = [
        cell(s, shop=(platform_facts(200), values(range(200), {CANDIDATE: 0.05}, seed=9)))
        for s in (1, 2, 3)
    ]
    single, triple = shop(analysed(one)), shop(analysed(three))
    assert triple.test_users == single.test_users == 200
    mine, theirs = (one.comparisons["candidate"].difference for one in (single, triple))
    assert theirs.model_dump() == pytest.approx(mine.model_dump())
    assert triple.models[CANDIDATE].std == pytest.approx(0.0, abs=1e-12)
    assert single.models[CANDIDATE].std is None


def test_a_users_values_are_averaged_over_the_seeds_that_drew_the_user():
    """Against the slow truth, a loop."""
    cells = seeds_of({"local": 0.1}, users=40, drawn=25)
    held = {}
    for each in cells:
        found = each.values["shop"]
        for place, user in enumerate(found.users):
            held.setdefault(user, []).append(found.ndcg[NAMES.index("local"), place])
    expected = np.mean([np.mean(values) for values in held.values()])
    assert shop(analysed(cells)).models["local"].ndcg == pytest.approx(expected)


def test_buckets_hold_every_user_once():
    found = shop(analysed(seeds_of({}, users=300, drawn=200)))
    for name in NAMES:
        assert sum(row[name].users for row in found.history.values()) == found.test_users
    cold = found.items_known["cold (no training user)"]["local"]
    assert 0 < cold.users < found.test_users


def test_the_grid_is_published_with_how_often_each_was_chosen():
    trials = shop(analysed(seeds_of({}))).models["item_knn"].trials
    assert [(t.settings, t.ndcg, t.chosen) for t in trials] == [
        ({"neighbours": 20}, pytest.approx(0.1), 0),
        ({"neighbours": 100}, pytest.approx(0.2), 3),
    ]


def test_a_platform_without_test_users_is_named_and_compared_with_nobody():
    full = (platform_facts(100), values(range(100), {CANDIDATE: 0.2}))
    empty = (platform_facts(3), values([], {}))
    results = analysed([cell(shop=full, hut=empty)])
    hut = results.platforms[1]
    assert (hut.test_users, hut.comparisons, hut.models) == (0, {}, {})
    assert any("hut has no test users" in line for line in results.warnings)
    assert results.platforms[0].comparisons["candidate"].p_holm == (
        results.platforms[0].comparisons["candidate"].difference.p_value
    )


def test_a_baseline_of_nothing_gives_no_lift_and_no_failure():
    found = values(range(30), {})
    found.ndcg[NAMES.index("local")] = 0.0
    main = shop(analysed([cell(shop=(platform_facts(30), found))])).comparisons["candidate"]
    assert main.difference.relative is None
    assert main.lifts == (None,)


def test_sizes_part_at_two_thousand_users():
    small = (platform_facts(2000), values(range(400), {CANDIDATE: 0.3, RECIPE: 0.3}))
    large = (platform_facts(2001), values(range(400), {CANDIDATE: 0.02}))
    results = analysed([cell(small=small, large=large)])
    found = {(size.name, size.goal): size for size in results.summary.sizes}
    few = found["over the best baseline, up to 2,000 users", 0.2]
    many = found["over the best baseline, larger platforms", 0.05]
    assert (few.platforms, few.above_goal) == (many.platforms, 1) == (1, 1)
    assert many.above_goal == 0
    assert few.mean_lift == pytest.approx(0.3, abs=0.05)
    assert goal(results, "mean lift over the best baseline, up to").met is True
    assert goal(results, "mean lift over the best baseline, larger").met is False
    assert goal(results, "mean lift over the same recipe alone, up to").met is False


def published(scenario, **users):
    """Goals for published figures by platform; the candidate is far above them."""
    shops = {
        name: (platform_facts(count), values(range(3000), {CANDIDATE: 0.5}))
        for name, count in users.items()
    }
    results = analysed([cell(scenario=scenario, **shops)])
    return {g.name.split()[-1]: g for g in results.goals if g.name.startswith("leave-one-out")}


def test_published_figures_are_compared_on_all_users_of_the_trio_alone():
    found = published("trio", beauty=22_363, sports=35_597, garden=700)
    assert list(found) == ["beauty", "sports"]
    assert (found["beauty"].target, found["beauty"].met) == ("at least 0.060", True)
    assert found["beauty"].found > 0.1
    assert (found["sports"].found, found["sports"].met) == (None, None)
    assert found["sports"].note == "needs --max-users 0: all 35,598 users"
    assert published("journey", beauty=22_363) == {}


def test_a_published_figure_that_is_not_reached_is_missed():
    shop = (platform_facts(19_412), values(range(3000), {CANDIDATE: -0.9}))
    results = analysed([cell(scenario="trio", toys=shop)])
    toys = goal(results, "leave-one-out NDCG@10, toys")
    assert toys.found == pytest.approx(results.platforms[0].models[CANDIDATE].ndcg)
    assert toys.met is False


def test_what_the_federation_adds_is_told_apart_from_what_the_recipe_adds():
    """A recipe that beats every baseline by itself is no merit of the federation."""
    found = shop(analysed(seeds_of({CANDIDATE: 0.2, RECIPE: 0.2}, incumbent=RECIPE)))
    assert found.comparisons["baseline"].verdict == "gains"
    assert found.comparisons["recipe"].verdict == "equal"
    assert found.comparisons["candidate"].verdict == "equal"


def test_what_goes_to_json_comes_back(tmp_path):
    results = analysed(seeds_of({CANDIDATE: 0.1}))
    results.save(tmp_path / "transfer.json")
    assert type(results).load(tmp_path / "transfer.json") == results


def test_made_up_quality_has_the_planted_lift():
    """The control of the control."""
    found = quality(np.arange(4000), {CANDIDATE: 0.5}, noise=0)
    ratio = found[NAMES.index(CANDIDATE)].mean() / found[NAMES.index("local")].mean()
    assert ratio == pytest.approx(1.5, abs=0.05)
