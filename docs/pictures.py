"""Makes the pictures of the documentation in a headless browser, from what a real study left.

    .venv/bin/python docs/pictures.py report report.html      # a file of `hpo report`
    .venv/bin/python docs/pictures.py dashboard http://127.0.0.1:8080 1 7 [LOGIN]
        # a dashboard where nobody has to log in, id of a study and number of a trial; and one where one has to
    .venv/bin/python docs/pictures.py quickstart report.html http://127.0.0.1:8080 1 1
        # the same of `make quickstart`, after `hpo evaluate quickstart --top 2 --seeds 3`

Each function makes one page's pictures in docs/img/. Needs Chromium (Debian: apt-get install chromium).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).resolve().parent / "img"
CHROMIUM = "/usr/bin/chromium"
SCREEN = {"width": 1280, "height": 900}
PAPER = {"width": 794, "height": 1123}  # A4 at 96 dots per inch


@contextmanager
def opened(**profile: Any) -> Iterator[Page]:
    """An empty page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        yield browser.new_context(**profile).new_page()
        browser.close()


def report(file: str) -> None:
    """The first screen by day and by night, the first sheet of paper, and some of the figures."""
    address = Path(file).resolve().as_uri()
    for scheme in ("light", "dark"):
        with opened(viewport=SCREEN, color_scheme=scheme, offline=True) as page:
            page.goto(address)
            page.wait_for_selector("html[data-drawn]", timeout=120_000)
            page.screenshot(path=IMAGES / f"report-{scheme}.png")
            if scheme == "light":
                page.locator("#families").screenshot(path=IMAGES / "report-families.png")
                page.locator("#timeline").screenshot(path=IMAGES / "report-timeline.png")
    with opened(viewport=PAPER, color_scheme="dark", offline=True) as page:
        page.goto(address)
        page.wait_for_selector("html[data-drawn]", timeout=120_000)
        page.emulate_media(media="print")
        page.evaluate("document.body.style.padding = '60px 53px'")  # a screenshot knows no margins of paper
        page.screenshot(path=IMAGES / "report-print.png")


def dashboard(url: str, study: str, trial: str, login: str = "") -> None:
    """A study's plots and note, and a trial with its curves and its confusion matrix."""
    place = f"{url}/dashboard/studies/{study}"
    for scheme in ("light", "dark"):
        with opened(viewport=SCREEN, color_scheme=scheme) as page:
            page.goto(f"{place}/trials?numbers={trial}")
            top, bottom = (page.get_by_role("img", name=name) for name in ("learning curves", "confusion matrix"))
            for name, picture in (("trial", top), ("confusion", bottom)):
                picture.evaluate("image => image.decode().then(() => image.scrollIntoView({block: 'end'}))")
                page.wait_for_timeout(1000)
                page.screenshot(path=IMAGES / f"dashboard-{name}-{scheme}.png")
    with opened(viewport=SCREEN) as page:
        page.goto(f"{place}/note")
        page.get_by_text("hpo export").wait_for()
        page.screenshot(path=IMAGES / "dashboard-note.png")
        page.goto(place)
        page.get_by_text("Cost against score").wait_for()
        page.get_by_text("Cost against score").evaluate("plot => plot.scrollIntoView({block: 'center'})")
        page.wait_for_timeout(5000)  # plotly draws when it likes
        page.screenshot(path=IMAGES / "dashboard-study.png")
        if login:
            page.goto(login)
            page.screenshot(path=IMAGES / "dashboard-login.png")


def quickstart(file: str, url: str, study: str, trial: str) -> None:
    """What the README's first command leaves to look at: the report, the study in the dashboard, and a trial."""
    with opened(viewport=SCREEN, offline=True) as page:
        page.goto(Path(file).resolve().as_uri())
        page.wait_for_selector("html[data-drawn]", timeout=120_000)
        page.screenshot(path=IMAGES / "quickstart-report.png")
    place = f"{url}/dashboard/studies/{study}"
    with opened(viewport=SCREEN) as page:
        page.goto(place)
        page.get_by_text("Hyperparameter Importance").first.wait_for()
        page.wait_for_timeout(5000)  # plotly draws when it likes
        page.screenshot(path=IMAGES / "quickstart-dashboard.png")
        page.goto(f"{place}/trials?numbers={trial}")
        curves = page.get_by_role("img", name="learning curves")
        curves.evaluate("image => image.decode().then(() => image.scrollIntoView({block: 'end'}))")
        page.wait_for_timeout(1000)
        page.screenshot(path=IMAGES / "quickstart-trial.png")


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    {"dashboard": dashboard, "report": report, "quickstart": quickstart}[sys.argv[1]](*sys.argv[2:])
