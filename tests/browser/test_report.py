"""The report in a real Chromium: quiet, offline, readable, and deaf to hostile text."""

import re
import shutil

import pytest
from example_results import example_pictures, example_results

from isthmus_simulations.report.page import write_report
from isthmus_simulations.results import ScenarioInfo

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed (extra dev)"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")

HURT = "document.title='hurt';window.hurt=1"
HOSTILE = f'</script><script>{HURT}</script><img src=x onerror="{HURT}"><svg onload="{HURT}">'


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # No sandbox: tests may run as root in a container, and the page is our own file.
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_report(example_results(), example_pictures(60), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    platforms = example_results().platforms
    results = example_results(
        platforms={HOSTILE: platforms["deli"], "fresh": platforms["fresh"]},
        scenario=ScenarioInfo(name=HOSTILE, description=HOSTILE),
        warnings=(HOSTILE,),
        config={HOSTILE: HOSTILE},
    )
    folder = tmp_path_factory.mktemp("hostile")
    return write_report(results, example_pictures(30, text=HOSTILE), folder)


@pytest.fixture
def opened(browser):
    """Opens a page and, at the end, holds that it said nothing and asked the network nothing."""
    contexts, heard = [], []

    def listen(page):
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url))
        page.on("dialog", lambda dialog: heard.append(dialog.message))

    def open_it(path, *, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        listen(page)
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    others = [url for url in heard if not re.fullmatch(r"file://.*/report\.html(#.*)?|data:,", url)]
    assert others == []


def test_the_page_is_there_with_banner_tables_and_sentences(opened, report):
    page = opened(report)
    assert page.locator(".banner strong").inner_text() == "NOT PRIVATE"
    assert page.locator(".banner").bounding_box()["height"] > 80
    assert page.locator("#table-ndcg tbody tr").count() == 5
    assert page.locator("#table-ndcg").is_visible()
    assert page.locator("ul.verdicts li").count() == 5
    assert page.locator("svg").count() > 30


def test_tabs_work_by_mouse_and_keyboard(opened, report):
    page = opened(report)
    page.locator("label[for=metric-mrr]").click()
    assert page.locator("#table-mrr").is_visible()
    assert not page.locator("#table-ndcg").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#table-coverage").is_visible()


def test_pointing_at_an_item_names_it_and_rings_it_in_all_maps(opened, report):
    page = opened(report)
    first = page.locator(".map").first
    first.scroll_into_view_if_needed()
    box = first.bounding_box()
    x, y = page.evaluate(
        "() => JSON.parse(document.getElementById('gallery-data').textContent).maps[0][0]"
    )
    unit = box["width"] / 300
    page.mouse.move(box["x"] + x * unit, box["y"] + y * unit)
    assert "Organic oat drink" in page.locator("#tip").inner_text()
    rings = page.locator(".ring").evaluate_all("all => all.map(one => one.style.visibility)")
    assert rings == ["visible"] * 4


def test_a_chosen_platform_stands_out(opened, report):
    page = opened(report)
    button = page.locator(".legend button").nth(2)
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator(".map path.on").count() == 4
    button.click()
    assert page.locator(".map path.on").count() == 0


@pytest.mark.parametrize("width", [360, 400, 768, 1280])
def test_no_width_makes_the_page_itself_scroll_sideways(opened, report, width):
    page = opened(report, width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(opened, report, scheme):
    page = opened(report, color_scheme=scheme)
    for place in (
        "p.lede",
        "td.best",
        "td.lift.gain",
        "td.lift.loss",
        ".pill",
        ".banner span",
        "tbody small",
    ):
        assert contrast(page, place) >= 4.5, place


def contrast(page, selector):
    """WCAG 2.1 contrast of an element's text against the nearest opaque ground."""
    ink, paper = page.locator(selector).first.evaluate("""element => {
        const opaque = node => {
            const colour = getComputedStyle(node).backgroundColor;
            return colour === "rgba(0, 0, 0, 0)" ? opaque(node.parentElement) : colour;
        };
        return [getComputedStyle(element).color, opaque(element)];
    }""")
    high, low = sorted((luminance(ink), luminance(paper)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_print_shows_every_tab_within_a_sheet(opened, report):
    sheet = 690  # CSS pixels: A4 less margins of 14 mm
    page = opened(report, width=sheet)
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= sheet
    for key in ("ndcg", "mrr", "repeat", "history-0"):
        assert page.locator(f"#table-{key}").is_visible()


def test_hostile_text_is_shown_and_never_run(opened, hostile):
    page = opened(hostile, width=400)
    assert page.locator("h1").inner_text() == HOSTILE
    box = page.locator(".map").first.bounding_box()
    page.locator(".map").first.scroll_into_view_if_needed()
    x, y = page.evaluate(
        "() => JSON.parse(document.getElementById('gallery-data').textContent).maps[0][0]"
    )
    page.locator(".map").first.hover(
        position={"x": x * box["width"] / 300, "y": y * box["width"] / 300}
    )
    assert "<script>" in page.locator("#tip").inner_text()
    assert page.evaluate("window.hurt") is None
    assert page.title() != "hurt"
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("img").count() == 0
