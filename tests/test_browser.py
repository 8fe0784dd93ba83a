"""The browser of the tests sees what they rely on: no request to another machine and no error goes unnoticed."""

from pathlib import Path

from playwright.sync_api import Browser

from tests.browser import visit

PAGE = """<!doctype html><title>here</title><img src="http://192.0.2.1/elsewhere.png">
<script>console.error("said"); throw new Error("thrown")</script>"""


def test_it_notices(browser: Browser, tmp_path: Path) -> None:
    """A request to another machine is stopped and listed, and so are an error of a script and one on the console."""
    (tmp_path / "page.html").write_text(PAGE)
    with visit(browser) as seen:
        seen.page.goto(f"file://{tmp_path}/page.html")
        assert seen.page.title() == "here"
    assert seen.outside == ["http://192.0.2.1/elsewhere.png"]
    assert "thrown" in seen.errors
    assert any(error.startswith("said") for error in seen.errors)
