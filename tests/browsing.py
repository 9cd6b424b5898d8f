"""A real browser for tests: pages that fail on any error of their own, and on any request that leaves the machine."""

import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import sync_playwright

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]
PATIENCE_MS = 180_000
"""A machine that others use too may take long."""


@dataclass(frozen=True)
class Browser:
    """A browser that opens pages, each with a store of its own."""

    engine: Any

    @contextmanager
    def page(self, url, **settings):
        """A page of a user of its own; fails at the end for errors in it, and for requests to anywhere else."""
        context = self.engine.new_context(**{"viewport": {"width": 1280, "height": 860}} | settings)
        context.set_default_timeout(PATIENCE_MS)
        wrong: list[str] = []
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("console", lambda line: wrong.append(line.text) if _is_wrong(line) else None)
        context.on("request", lambda each: wrong.append(each.url) if not each.url.startswith((url, "blob:")) else None)
        page = context.new_page()
        page.goto(url)
        try:
            yield page
        finally:
            context.close()
        assert not wrong, wrong


def _is_wrong(line):
    # A refused request is logged by the browser itself, and is what some tests are about.
    return line.type in ("error", "warning") and "Failed to load resource" not in line.text


@contextmanager
def browsed():
    """A browser, until the block ends."""
    with sync_playwright() as driver:
        engine = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=ARGUMENTS)
        try:
            yield Browser(engine)
        finally:
            engine.close()


def sent(page, clip):
    """Gives the page a clip, and waits until it is shown."""
    page.set_input_files("#choose", str(clip))
    shown(page)


def shown(page):
    """Waits until the stage plays a clip."""
    until(page, "[...document.querySelectorAll('.screen video')].some((each) => each.videoWidth > 0)")


def until(page, expression):
    """Waits until an expression holds. Playwright's own way evaluates strings in the page, which its policy forbids."""
    over = time.monotonic() + PATIENCE_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < over, expression
        page.wait_for_timeout(50)


def quick(page, words, **settings):
    """Says what is wanted, with settings under which `pocket` takes a second."""
    page.fill("#words", words)
    page.click("summary")
    for name, value in {"steps": 1, "ensemble": 1, "size": 64, **settings}.items():
        field = page.locator(f"[data-setting={name}]")
        field.fill(str(value))
        field.dispatch_event("change")
    page.click("summary")


def edited(page):
    """Begins the edit and waits for its result; returns the job's name."""
    page.get_by_role("button", name="Edit the clip").click()
    page.wait_for_url("**/#/job/*")
    page.get_by_role("link", name="Download", exact=True).wait_for()
    return page.url.rpartition("/")[2]
