"""Every broken feed of the corpus: exactly the findings expected, and no user shown."""

import re

import pytest
from broken_feeds import FAULTS
from healthy_shop import NOW, Shop

from isthmus.progress import Silent
from isthmus_client.readiness import CODES, check
from isthmus_client.readiness.page import render_page


def run(shop, folder):
    contract = shop.write(folder)
    return check(contract, Silent(), now=NOW, server_time=shop.server_time)


def test_the_healthy_platform_has_no_finding(tmp_path):
    report = run(Shop(), tmp_path)
    assert report.verdict == "ready"
    assert report.findings == ()


def test_the_corpus_is_large_and_its_names_differ():
    assert len(FAULTS) >= 70
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_and_nothing_else(fault, tmp_path):
    shop = Shop()
    fault.break_it(shop)
    report = run(shop, tmp_path)
    found = {(each.code, each.table): each for each in report.findings}
    assert set(found) == set(fault.expected), [each.what for each in report.findings]
    assert report.verdict == fault.verdict
    for key, expected in fault.expected.items():
        if expected is not None:
            count, line = expected
            assert count in (None, found[key].count)
            if line is not None:
                assert found[key].example.line == line
    shown = report.to_json() + render_page(report)
    assert not re.findall(r"person-\d", shown)


def test_the_corpus_meets_every_code():
    assert {code for fault in FAULTS for code, _ in fault.expected} == set(CODES)
