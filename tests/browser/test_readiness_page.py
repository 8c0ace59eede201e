"""The readiness report in a real Chromium: quiet, offline, readable, and deaf to hostile text."""

import re
import shutil

import pytest
from broken_feeds import FAULTS
from healthy_shop import NOW, Shop

from isthmus.progress import Silent
from isthmus_client.readiness import check, write_page

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (extra dev)"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")

HOSTILE = "</script><script>document.title='hurt'</script><img src=x onerror=alert(1)>"
FAULTY = (
    "a_bot",
    "a_day_without_events",
    "a_price_of_zero",
    "a_column_is_not_mapped",
    "too_many_bad_rows",
)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # No sandbox: tests may run as root in a container, and the page is our own file.
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """A page with findings of each severity, one of them with hostile text."""
    folder = tmp_path_factory.mktemp("readiness")
    shop = Shop()
    for fault in FAULTS:
        if fault.name in FAULTY:
            fault.break_it(shop)
    shop.set_events("price", HOSTILE, 500)
    report = check(shop.write(folder), Silent(), now=NOW)
    write_page(report, folder / "readiness.html")
    return folder / "readiness.html"


@pytest.fixture
def opened(browser, page_file):
    """Opens the page and, at the end, holds that it said nothing and asked the network nothing."""
    contexts, heard = [], []

    def open_it(*, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url))
        page.on("dialog", lambda dialog: heard.append(dialog.message))
        page.goto(page_file.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert [
        url for url in heard if not re.fullmatch(r"file://.*/readiness\.html|data:,", url)
    ] == []


def test_findings_rows_and_pictures_are_there(opened):
    page = opened()
    assert page.locator(".verdict.refused").is_visible()
    assert page.locator(".finding.error").count() == 1
    assert page.locator(".finding.warning").count() == 3
    assert page.locator(".finding.info").count() == 1
    assert page.locator("#table-rows tbody tr").count() == 2
    assert page.locator("figure").count() == 5
    assert page.locator("figure.wide .bar").count() > 150
    assert page.locator("figure.wide .legend li").count() == 3


def test_bars_stay_inside_their_picture_and_stand_on_its_line(opened):
    page = opened()
    boxes = page.locator("figure").evaluate_all("""figures => figures.flatMap(figure => {
        const outer = figure.querySelector("svg").getBoundingClientRect();
        return [...figure.querySelectorAll("svg[role=img] .bar")].map(bar => {
            const box = bar.getBoundingClientRect();
            return box.left >= outer.left && box.right <= outer.right
                && box.top >= outer.top && box.bottom <= outer.bottom;
        });
    })""")
    assert len(boxes) > 150
    assert all(boxes)


def test_hostile_text_is_shown_and_never_run(opened):
    page = opened()
    assert "<script>" in page.locator(".finding .seen").all_inner_texts().__str__()
    assert page.title() == "Isthmus readiness: own"
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_width_makes_the_page_itself_scroll_sideways(opened, width, scheme):
    page = opened(width=width, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
