"""A headless browser for the tests: Debian's Chromium, driven by Playwright, that can reach this machine alone.

The fixture `browser` of conftest.py is one for the session; `visit` opens a fresh profile in it and keeps a record of
what a page asked for and of what went wrong in it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Route, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",  # Chromium's own sandbox does not work for root, and it sees our own pages alone
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Visit:
    """A page of a fresh profile, and what happened in it.

    Attributes:
        page: Playwright's page.
        outside: addresses on other machines that it asked for; they were not let through.
        errors: what its scripts threw or wrote to the console as an error.
    """

    page: Page
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser. Its processes lack our mark, because they come and go as they like."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_RUN"}
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=FLAGS, env=dict[str, str | float | bool](environment)
        )
        yield started
        started.close()


@contextmanager
def visit(browser: Browser, *, offline: bool = False, **profile: Any) -> Iterator[Visit]:
    """A fresh page that reaches the loopback and local files alone.

    Args:
        browser: the fixture.
        offline: takes the loopback from it as well: a file has to do with itself.
        **profile: what `Browser.new_context` takes, for example ``color_scheme="dark"``.
    """
    context = browser.new_context(offline=offline, **profile)
    context.set_default_timeout(60_000)
    page = context.new_page()
    seen = Visit(page)

    def gate(route: Route) -> None:
        address = urlsplit(route.request.url)
        if address.scheme in ("data", "blob", "file", "about") or address.hostname in ("127.0.0.1", "localhost", "::1"):
            route.continue_()
        else:
            seen.outside.append(route.request.url)
            route.abort()

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            seen.errors.append(f"{message.text} ({message.location.get('url')})")

    context.route("**/*", gate)
    context.on("console", note)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    try:
        yield seen
    finally:
        context.close()
