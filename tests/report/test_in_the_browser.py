"""The report in a browser that reaches nothing: all figures are drawn, by day and night, on paper, without scripts."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from hpo.store import Store
from tests.browser import visit
from tests.cli.run import call
from tests.report.made import evaluate, fill, study

DRAWN = "html[data-drawn]"
LARGEST = 5_000_000  # bytes of a report on 200 trials
COLOR = "getComputedStyle(document.querySelector('.plot .xtick text')).fill"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an evaluated study of 200 trials, whose names hold markup."""
    folder = tmp_path_factory.mktemp("report")
    address = f"sqlite:///{folder / 'hpo.db'}"
    with Store(address, create=True) as store:
        record = study(store)
        fill(store, record, folder, 200)
        evaluate(store, record)
    run = call("report", "s", "-o", folder / "r.html", "--storage", address, "--artifacts", folder)
    assert run.code == 0, run.err
    return folder / "r.html"


def test_every_figure_is_drawn(browser: Browser, report: Path) -> None:
    """From the disk, without a network: plotly draws all figures, nobody is asked for anything, no script fails.

    When the day turns into night the figures follow; a heading sorts its table; texts of the study stay texts.
    """
    assert report.stat().st_size < LARGEST
    with visit(browser, offline=True, color_scheme="light") as seen:
        page = seen.page
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(report.as_uri())
        page.wait_for_selector(DRAWN, timeout=60_000)
        plots = page.locator(".plot")
        assert plots.count() >= 20
        assert (
            plots.evaluate_all("all => all.filter(one => !one.querySelector('svg.main-svg')).map(one => one.id)") == []
        )
        assert plots.evaluate_all("all => all.filter(one => !one.querySelector('.trace, .hm, .bars, .point'))") == []
        assert not page.locator(".picture").first.is_visible()
        page.locator("#history").scroll_into_view_if_needed()
        point = page.locator("#history .point").first.bounding_box()
        assert point is not None
        page.mouse.move(point["x"] + point["width"] / 2, point["y"] + point["height"] / 2)
        page.wait_for_selector("#history .hoverlayer text")
        assert "trial" in (page.locator("#history .hoverlayer").text_content() or "")
        by_day = page.evaluate(COLOR)
        page.emulate_media(color_scheme="dark")
        page.wait_for_selector("html[data-theme=dark]")  # no function: the page's policy forbids to make one
        assert page.evaluate(COLOR) != by_day
        page.evaluate("document.querySelector('#trials details').open = true")
        first = page.locator("#table-trials tbody tr").first
        page.locator("#table-trials thead button", has_text="accuracy").click()
        assert page.locator("#table-trials th[aria-sort=descending]").count() == 1
        best = first.locator("td").nth(1).inner_text()
        scores = page.locator("#table-trials tbody tr td:nth-child(3)").all_inner_texts()
        assert best == max(scores)
        assert scores[-1] == "-"
        page.locator("#table-trials thead button", has_text="accuracy").click()
        assert first.locator("td").nth(1).inner_text() == min(score for score in scores if score != "-")
        page.emulate_media(media="print", color_scheme="dark")
        assert page.locator(".picture").first.is_visible()
        assert not plots.first.is_visible()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.evaluate("window.hacked") is None
        assert page.locator("img").count() == 0
        assert requests == [report.as_uri()]
        assert (seen.outside, seen.errors) == ([], [])


def test_without_scripts_it_is_read_all_the_same(browser: Browser, report: Path) -> None:
    """Every figure is a picture with a text, every table is there, and nothing waits for a script."""
    with visit(browser, offline=True, java_script_enabled=False) as seen:
        seen.page.goto(report.as_uri())
        pictures = seen.page.locator("svg.picture")
        assert pictures.count() == seen.page.locator("figure").count() >= 20
        assert all(picture.is_visible() for picture in pictures.all())
        assert seen.page.locator("figure .plot:visible").count() == 0
        assert seen.page.locator("#table-baselines").is_visible()
        assert seen.page.get_by_role("heading", level=1).inner_text() == "s"
        assert (seen.outside, seen.errors) == ([], [])


def test_a_narrow_screen_holds_it(browser: Browser, report: Path) -> None:
    """On a phone nothing but tables is wider than the screen, and those scroll by themselves."""
    with visit(browser, offline=True, java_script_enabled=False, viewport={"width": 360, "height": 700}) as seen:
        seen.page.goto(report.as_uri())
        width = seen.page.locator("body").evaluate("body => body.getBoundingClientRect().width")
        boxes = [one.bounding_box() for one in seen.page.locator("h1, .verdict, .card, figure, .scroll").all()]
        assert all(box is None or box["x"] + box["width"] <= width for box in boxes)
