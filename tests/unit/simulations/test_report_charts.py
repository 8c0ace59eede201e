"""Scales, forest plots, curves, bars and item maps as values, before they become a picture."""

import numpy as np
import pytest
from example_results import example_pictures, example_results
from hypothesis import given
from hypothesis import strategies as st

from isthmus_simulations.report import bars, lines, pictures
from isthmus_simulations.report.forest import forest
from isthmus_simulations.report.scales import Scale, padded, spread, ticks
from isthmus_simulations.results import MAIN_DIFFERENCE, CurvePoint, Curves, PairedDifference

RESULTS = example_results()


def only(name, **changes):
    return example_results(platforms={name: RESULTS.platforms[name].model_copy(update=changes)})


def lifted(relative, low, high):
    return PairedDifference(
        difference=0.01,
        low=0.0,
        high=0.1,
        relative=relative,
        relative_low=low,
        relative_high=high,
        users=9,
    )


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.integers(2, 8))
def test_ticks_are_round_few_and_on_the_axis(low, width, about):
    found = ticks(low, low + width, about)
    assert 1 <= len(found) <= about + 2
    assert all(low - 1e-6 <= tick <= low + width + 1e-6 for tick in found)
    steps = np.diff(found)
    assert np.allclose(steps, steps[0]) if len(steps) else True


def test_ticks_of_an_empty_axis_and_of_known_ones():
    assert ticks(0.3, 0.3) == [0.3]
    assert ticks(0, 1) == [0, 0.5, 1]
    assert ticks(-0.12, 0.31, 4) == [0, 0.2]
    assert ticks(0.5, 4.52, 2) == [2, 4]  # no multiple of 5 is there


def test_a_scale_turns_values_into_places_and_holds_them():
    scale = Scale(0, 10, 100, 0)
    assert (scale(0), scale(10), scale(2.5), scale(99)) == (100, 0, 75, 0)
    assert padded([3.0, 3.0], 0, 10)(3.0) == 5
    assert padded([], 0, 10).low < 0


@given(st.lists(st.floats(0, 100), max_size=6))
def test_labels_move_apart_and_keep_their_order(places):
    moved = spread(places, 10, 0, 100)
    order = np.argsort(places, kind="stable")
    apart = np.diff(np.array(moved)[order]) if places else np.array([])
    assert (apart >= 10 - 0.02).all()
    assert all(place <= 100 for place in moved)


def test_the_forest_has_a_panel_for_each_comparison_on_one_scale():
    found = forest(RESULTS)
    assert [panel.title.split()[0] for panel in found.panels] == [
        "Personalised",
        "Personalised",
        "Federated",
        "Content",
        "Pooled",
        "Personalised",
    ]
    for panel in found.panels:
        assert [row.platform for row in panel.rows] == list(RESULTS.platforms)
        for row in panel.rows:
            assert 0 <= row.low <= row.mid <= row.high <= 100
    deli = found.panels[0].rows[3]
    assert deli.kind == "loss"
    assert deli.high < found.zero


def test_an_interval_beyond_the_panel_is_open():
    results = only("deli", differences={MAIN_DIFFERENCE: lifted(0.1, None, 40.0)})
    row = forest(results).panels[0].rows[0]
    assert row.open_low
    assert row.open_high
    assert (row.low, row.high) == (0, 100)


def test_without_ratios_there_is_no_forest():
    assert forest(only("deli", differences={})) is None
    assert forest(only("deli", differences={"a - b": lifted(None, None, None)})) is None


def test_curves_end_where_the_figures_end():
    panel = lines.learning_curves(RESULTS)[0]
    by_model = {line.css: line for line in panel.lines}
    assert list(by_model) == ["pooled", "local", "federated"]
    assert by_model["federated"].end[0] == lines.RIGHT
    assert "after 2.1" in by_model["local"].points[1][2]
    assert [reference.label for reference in panel.references] == ["Item-kNN"]


def test_a_curve_of_one_point_and_one_without_any():
    one = Curves(local=(CurvePoint(step=0, ndcg=0.1), CurvePoint(step=1, ndcg=None)))
    (panel,) = lines.learning_curves(only("deli", curves=one, gate=None))
    assert [line.path for line in panel.lines] == [f"M{lines.LEFT:g} {panel.lines[0].end[1]:g}"]
    assert lines.learning_curves(only("deli", curves=Curves())) == ()


def test_the_newcomers_lines_leave_out_what_does_not_exist():
    panel = lines.newcomer_chart(RESULTS.newcomer)
    points = {line.css: len(line.points) for line in panel.lines}
    assert points == {"popularity": 4, "prior": 4, "release": 4, "local": 3, "personalised": 4}
    assert panel.x_ticks[0][1] == "0"


def test_a_certificate_shows_both_sides_of_the_decision():
    certificate = bars.certificates(RESULTS)[3]
    assert (certificate.platform, certificate.federated) == ("deli", False)
    assert {bar.label: bar.role for bar in certificate.bars}["Item-kNN"] == "incumbent"
    widths = [bar.width for bar in certificate.bars]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == 100


def test_cost_of_a_run_without_stages_or_memory():
    cost = RESULTS.cost.model_copy(update={"seconds": {}, "peak_memory_mb": None})
    assert bars.stage_bars(cost) == ()
    assert all("memory" not in what for _, what in bars.cost_facts(cost))


def test_maps_show_every_item_once_in_its_platforms_colour():
    found = pictures.gallery(example_pictures(40))
    assert [picture.title for picture in found.pictures] == [
        "Text alone, PCA",
        "Text alone, t-SNE",
        "Shared encoder, PCA",
        "Shared encoder, t-SNE",
    ]
    assert sum(drawn for _, _, drawn in found.legend) == len(found.items) == 40
    for picture in found.pictures:
        assert sum(cloud.path.count("M") for cloud in picture.clouds) == 40
        assert np.isfinite(picture.points).all()
    assert pictures.gallery(example_pictures(40)) == found


def test_an_untrained_encoder_is_drawn_as_one_point():
    given = example_pictures(20)
    flat = pictures.Pictures(
        given.content, 0 * given.encoder, given.platforms, given.categories, given.texts
    )
    found = pictures.gallery(flat)
    assert len(set(found.pictures[2].points)) == len(set(found.pictures[3].points)) == 1
    assert found.pictures[2].note == "all items coincide"


def test_too_few_items_draw_nothing_and_too_many_are_sampled():
    assert pictures.gallery(example_pictures(7)) is None
    kept = pictures._sample(example_pictures(pictures.MOST_POINTS + 50), 0)
    assert len(set(kept)) == pictures.MOST_POINTS


def test_rows_that_do_not_match_are_refused():
    given = example_pictures(20)
    with pytest.raises(ValueError, match="20 content vectors"):
        pictures.Pictures(
            given.content, given.encoder[:3], given.platforms, given.categories, given.texts
        )
