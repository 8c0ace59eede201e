"""What is planted in finished trainings is found: shares kept, who is ahead, goals, limits."""

import re

import pytest
from price_cells import analysed, attacked, cells, ease, kept_at

from isthmus_client.membership import highest_tpr
from isthmus_simulations.price.cells import Run, grid

RESULTS = analysed(cells())


def lines_of(results, platform="beauty", scenario="trio"):
    found = results.scenarios[scenario].platforms[platform].lines
    return {(line.way, line.epsilon): line for line in found}


def goal(results, *words):
    (found,) = [g for g in results.goals if all(word in g.name for word in words)]
    return found


@pytest.mark.parametrize("way", ["pooled", "local", "private_alone"])
@pytest.mark.parametrize("epsilon", [8.0, 2.0, 1.0])
def test_the_share_kept_is_the_planted_one_and_inside_its_interval(way, epsilon):
    line = lines_of(RESULTS)[way, epsilon]
    wanted = kept_at(way, epsilon)
    assert line.kept.share == pytest.approx(wanted, abs=0.02)
    assert line.kept.low < wanted < line.kept.high
    assert line.kept_of_noiseless.share == pytest.approx(wanted / 0.98, abs=0.02)
    assert line.ndcg == pytest.approx(wanted * ease().mean(), rel=0.02)


def test_the_federation_is_compared_with_nobody_but_the_others():
    lines = lines_of(RESULTS)
    assert lines["federated", None].kept is None
    assert lines["prior", None].over_prior is None
    assert lines["prior", None].attack is None
    assert lines["prior", None].kept.share == pytest.approx(0.7, abs=0.02)
    assert lines["pooled", 8.0].over_alone.relative == pytest.approx(
        kept_at("pooled", 8) / 0.85 - 1, abs=0.03
    )


def test_the_federation_is_set_against_own_private_training_of_the_same_epsilon():
    line = lines_of(RESULTS)["local", 2.0]
    wanted = kept_at("local", 2.0) / kept_at("private_alone", 2.0) - 1
    assert line.over_private_alone.relative == pytest.approx(wanted, abs=0.03)
    assert lines_of(RESULTS)["private_alone", 2.0].over_private_alone is None


def test_goals_on_all_users_are_met_or_missed_by_their_figures():
    kept = {8.0: 0.97, 2.0: 0.88, 1.0: 0.87}
    found = analysed(
        cells(change=lambda r: {"share": kept[r.epsilon]} if r.way == "pooled" else {})
    )
    assert goal(found, "epsilon 8").met is True
    assert goal(found, "epsilon 2").met is False
    assert goal(found, "epsilon 1").met is True
    assert goal(found, "epsilon 2").found == pytest.approx(0.88, abs=0.01)
    assert re.search(r"the untrained prior has (69|70|71)\.\d %$", goal(found, "epsilon 2").note)
    assert goal(found, "pooled", "ahead").met is True
    assert goal(found, "local", "ahead").note.startswith("9 of 9 at equal epsilon, 9 by their")


def test_one_platform_behind_misses_the_goal_of_all():
    def change(run):
        ahead = run.way == "private_alone" and run.platform == "toys" and run.epsilon == 2.0
        return {"share": 0.97} if ahead else {}

    found = goal(analysed(cells(change=change)), "pooled", "ahead")
    assert found.met is False
    assert "8 of 9" in found.note
    assert "toys at 2" in found.note


@pytest.mark.parametrize(
    "made",
    [
        analysed(cells(epsilons=(8.0,)), whole=False),
        analysed(cells(epsilons=(8.0,), scenario="journey")),
        analysed(cells(epsilons=(8.0,), names=("beauty", "sports"))),
    ],
)
def test_goals_are_not_judged_where_they_were_not_set(made):
    assert made.goals
    assert {found.met for found in made.goals} == {None}
    assert all(found.found is not None for found in made.goals)


def test_nothing_is_held_against_a_run_that_gains_over_the_prior():
    gains = {"share": 0.9}
    assert (
        analysed(cells(change=lambda run: gains if run.epsilon else {})).scenarios["trio"].limits
        == ()
    )


def test_what_is_impossible_is_said():
    def change(run):
        if run.way == "local" and run.epsilon == 1.0:
            return {"share": 0.5, "norm": 3.4}
        if run.way == "private_alone" and run.platform == "toys" and run.epsilon == 1.0:
            return {"platforms": {}, "privacy": None, "impossible": "nobody is there"}
        return {"share": 0.9} if run.epsilon else {}

    made = analysed(cells(epsilons=(8.0, 1.0), change=change))
    found = made.scenarios["trio"]
    local, alone = found.limits
    assert local == (
        "Local, ε = 1: a round's noise is 3.4 times the longest that its signal can be; "
        "worse than no training at all on every platform."
    )
    assert alone == "Own, private, ε = 1: impossible on toys: nobody is there."
    (run,) = [run for run in found.runs if run.impossible]
    assert (run.platform, run.useful) == ("toys", False)
    assert ("private_alone", 1.0) not in lines_of(made, "toys")


def test_no_gain_is_not_called_a_loss():
    same = analysed(cells(change=lambda run: {"share": 0.7} if run.epsilon == 1.0 else {}))
    (line,) = [said for said in same.scenarios["trio"].limits if said.startswith("Pooled, ε = 1")]
    assert "worse" not in line
    assert "no gain over the untrained prior is shown on any platform" in line


def test_seeds_are_averaged_user_by_user():
    def change(run):
        return {"share": {1: 0.8, 2: 1.0}[run.seed]} if run.way == "pooled" else {}

    line = lines_of(analysed(cells(seeds=2, change=change)))["pooled", 8.0]
    assert line.kept.share == pytest.approx(0.9, abs=0.02)
    assert line.std == pytest.approx(0.2 * ease().mean() / 2**0.5, rel=0.1)
    assert lines_of(RESULTS)["pooled", 8.0].std is None


def test_attacks_are_averaged_and_their_intervals_widened():
    made = cells(seeds=2)
    odd = [c for c in made if c.seed == 2 and c.way == "pooled" and c.epsilon == 8.0]
    strong = {
        n: p.model_copy(update={"attack": attacked(0.6, 0.1)}) for n, p in odd[0].platforms.items()
    }
    made[made.index(odd[0])] = odd[0].model_copy(update={"platforms": strong})
    found = lines_of(analysed(made))["pooled", 8.0].attack
    assert (found.auc, found.tpr) == (pytest.approx(0.56), pytest.approx(0.06))
    assert (found.auc_low, found.auc_high) == (pytest.approx(0.49), pytest.approx(0.63))
    assert (found.tpr_low, found.tpr_high) == (pytest.approx(0.01), pytest.approx(0.2))


def test_the_bound_on_attacks_is_that_of_the_spent_epsilon():
    lines = lines_of(RESULTS)
    assert lines["pooled", 1.0].tpr_bound == highest_tpr(0.99, 1e-5)
    assert lines["noiseless", None].tpr_bound is None


def test_a_platform_without_test_users_has_no_lines():
    silent = [
        cell.model_copy(
            update={
                "platforms": {
                    name: facts.model_copy(update={"ndcg": (), "users_tested": ()})
                    if name == "toys"
                    else facts
                    for name, facts in cell.platforms.items()
                }
            }
        )
        for cell in cells(epsilons=(8.0,))
    ]
    found = analysed(silent).scenarios["trio"].platforms
    assert found["toys"].lines == ()
    assert found["beauty"].lines


def test_the_grid_has_every_training_once_and_the_references_first():
    runs = grid("trio", 3, ("a", "b"), ("pooled",), (8.0, 1.0))
    assert len(runs) == len(set(runs)) == 3 + 2 + 2 + 4
    assert runs[0] == Run("trio", 3, "federated")
    assert len({run.name for run in runs}) == len(runs)
    assert {run.trust for run in runs if run.epsilon is None} == {"none", "local"}


def test_results_survive_their_file(tmp_path):
    RESULTS.save(tmp_path / "price.json")
    assert type(RESULTS).load(tmp_path / "price.json") == RESULTS
