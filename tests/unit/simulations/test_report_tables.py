"""Tables as values: columns, marks and notes."""

import pytest
from example_results import example_results

from isthmus_simulations.report import formats
from isthmus_simulations.report.tables import bucket_tables, metric_tables
from isthmus_simulations.results import Metrics

RESULTS = example_results()


def changed(name, **models):
    platform = RESULTS.platforms[name]
    given = {model: Metrics(ndcg=figure, users=9) for model, figure in models.items()}
    return example_results(platforms={name: platform.model_copy(update={"models": given})})


def main(results):
    return metric_tables(results)[0]


def marks(results, mark):
    (row,) = main(results).rows
    return [cell.model for cell in row.cells if getattr(cell, mark)]


def test_the_first_table_is_the_primary_metric_with_lift_and_gate():
    table = main(RESULTS)
    assert (table.key, table.main) == ("ndcg", True)
    assert [row.name for row in table.rows] == list(RESULTS.platforms)
    assert [row.gate for row in table.rows] == [
        formats.label(platform.gate.served) for platform in RESULTS.platforms.values()
    ]
    assert [row.federated for row in table.rows] == [
        platform.gate.decision == "federated" for platform in RESULTS.platforms.values()
    ]
    assert table.rows[4].kind == "gain"
    assert sum(width for _, width in table.groups) == len(table.columns) == len(table.rows[0].cells)


def test_each_column_stands_below_its_own_heading():
    table = main(RESULTS)
    headings = [title for title, width in table.groups for _ in range(width)]
    under = dict(zip(table.columns, headings, strict=True))
    assert under["content"] == under["federated"] == under["personalised"] == "Federation"
    assert (under["local"], under["pooled"]) == ("Alone", "Upper bound")
    assert under["prior"] == "Untrained baselines"


def test_the_upper_bound_is_never_best():
    assert marks(changed("fresh", local=0.2, pooled=0.9, personalised=0.3), "best") == [
        "personalised"
    ]


def test_equals_are_both_best_and_nothing_is_best_among_zeros():
    assert marks(changed("fresh", local=0.2, prior=0.2, pooled=0.1), "best") == ["prior", "local"]
    assert marks(changed("fresh", local=0.0, prior=0.0), "best") == []


def test_what_the_gate_serves_is_marked():
    assert marks(changed("deli", local=0.2, item_knn=0.1), "served") == ["item_knn"]


@pytest.mark.parametrize(("figure", "shown"), [(0.0, False), (None, False), (0.2, True)])
def test_own_history_is_shown_only_where_it_says_something(figure, shown):
    columns = main(changed("fresh", own_history=figure, local=0.0, prior=0.1)).columns
    assert ("own_history" in columns) is shown
    assert "local" in columns  # a trained model's zero is a result


def test_coverage_marks_no_winner():
    coverage = next(table for table in metric_tables(RESULTS) if table.key == "coverage")
    assert not any(cell.best for row in coverage.rows for cell in row.cells)


def test_repeats_come_from_the_unmasked_ranking():
    repeat = next(table for table in metric_tables(RESULTS) if table.key == "repeat")
    assert repeat.columns[1] == "own_history"
    assert {row.cells[1].text for row in repeat.rows} == {"0.1820"}


def test_buckets_keep_their_order_and_count_their_users():
    tables = bucket_tables(RESULTS, "item")
    assert [table.title for table in tables] == list(RESULTS.platforms)
    assert [row.name for row in tables[0].rows] == ["cold (0)", "1-9", "10+"]
    assert tables[4].rows[2].notes == ("192 users",)
