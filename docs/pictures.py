"""Makes the pictures of the documentation in a headless browser, from what a real study left.

    .venv/bin/python docs/pictures.py report report.html      # a file of `hpo report`

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


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    {"report": report}[sys.argv[1]](*sys.argv[2:])
