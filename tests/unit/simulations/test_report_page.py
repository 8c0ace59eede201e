"""The page as text: whole, self-contained, escaped, and true to the results."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from example_results import example_pictures, example_results, private_results

from isthmus_simulations.report.page import render_report, write_report
from isthmus_simulations.results import Curves, Privacy, ScenarioInfo

VOID = {"meta", "link", "input", "img"}
HOSTILE = '</script><script>window.hurt=1</script><img src=x onerror="window.hurt=1">'
RESULTS = example_results()


class Page(HTMLParser):
    """Tables, ids, links, and tags left open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.scripts, self.cells = [], [], [], [], {}
        self.table, self.tags = None, set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        if tag == "table":
            self.table = found["id"]
        if tag == "td":
            self.cells.setdefault(self.table, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, _attrs):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} closes something else"

    def handle_data(self, data):
        if "td" in self.open:
            self.cells[self.table][-1] += data
        if "script" in self.open:
            self.scripts.append(data)


@pytest.fixture(scope="module")
def text():
    return render_report(RESULTS, example_pictures(30))


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_it_is_well_formed_and_its_links_lead_somewhere(page):
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert len(page.links) > 8


def test_it_refers_to_nothing_outside_of_itself(text):
    assert re.findall(r"https?:|//[a-z]|@import|url\(|\bsrc=", text) == []


def test_the_policy_allows_its_own_style_and_script_alone(text, page):
    policy = re.search(r'Security-Policy" content="([^"]+)"', text).group(1).replace("&#39;", "'")
    for source in (page.scripts[-1], re.search("<style>(.*?)</style>", text, re.DOTALL).group(1)):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"\sstyle=|\son[a-z]+=", text)


def test_the_main_table_holds_the_results(page):
    first = page.cells["table-ndcg"][: len(page.cells["table-ndcg"]) // 5]
    models = RESULTS.platforms["grocery"].models
    told = ("popularity", "item_knn", "prior", "local")
    told += ("content", "federated", "personalised", "pooled")
    assert first[:8] == [f"{models[model].ndcg:.4f}" for model in told]
    assert first[-1] == "Personalised"


def test_all_metrics_protocols_and_buckets_have_their_table(page):
    wanted = {"ndcg", "hr", "mrr", "coverage", "repeat", "history-0", "item-4", "newcomer"}
    assert {f"table-{name}" for name in wanted} <= set(page.ids)
    repeat = page.cells["table-repeat"]
    assert "0.1820" in repeat  # own history, which has no figure on new-to-user items
    assert "0.1820" not in page.cells["table-ndcg"]


def test_the_banner_is_there_exactly_when_the_run_is_not_private(text):
    assert "<strong>NOT PRIVATE</strong>" in text
    private = Privacy(mechanism="local", statement="user-level DP", epsilon=8.0, delta=1e-6)
    assert "NOT PRIVATE" not in render_report(example_results(privacy=private), None)


def test_a_private_run_shows_every_ledger_and_what_an_attack_found():
    text = render_report(private_results(), None)
    for figure in ("7.88", "17.5", "13.2", "attack shows at least", "planned for: 1", "0.43"):
        assert figure in text
    assert "attack" not in render_report(RESULTS, None)


def test_foreign_text_is_escaped_everywhere():
    platforms = {HOSTILE: RESULTS.platforms["deli"]}
    results = example_results(
        platforms=platforms,
        scenario=ScenarioInfo(name=HOSTILE, description=HOSTILE),
        config={"path": HOSTILE},
        versions={HOSTILE: HOSTILE},
        warnings=(HOSTILE,),
        newcomer=RESULTS.newcomer.model_copy(update={"platform": HOSTILE}),
    )
    given = example_pictures(12, text=HOSTILE)
    text = render_report(results, given)
    assert "<script>window.hurt" not in text
    assert "<img" not in text
    page = Page(text)
    assert len(page.scripts) == 2
    assert "img" not in page.tags
    assert page.open == []


def test_a_run_with_the_least_possible_content_still_makes_a_page():
    bare = RESULTS.platforms["deli"].model_copy(
        update={
            "models": {},
            "repeat_models": {},
            "buckets": RESULTS.platforms["deli"].buckets.model_copy(
                update={"history": {}, "item": {}}
            ),
            "best_baseline": None,
            "differences": {},
            "gate": None,
            "curves": Curves(),
        }
    )
    text = render_report(
        example_results(platforms={"only": bare}, newcomer=None, warnings=()), None
    )
    page = Page(text)
    assert page.open == []
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert "only</b> has no comparison with a baseline" in text
    assert not {"gate", "newcomer", "pictures", "lift", "curves"} & set(page.ids)


def test_the_same_results_make_the_same_page(text, tmp_path):
    path = write_report(RESULTS, example_pictures(30), tmp_path / "run")
    assert path == tmp_path / "run" / "report.html"
    assert path.read_text(encoding="utf-8") == text
