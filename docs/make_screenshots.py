"""Takes the pictures of the page that docs/images holds, of a server of its own, in Debian's chromium.

    python docs/make_screenshots.py docs/images

It makes the edits that it shows, which takes some minutes. Look at what it wrote.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

PORT = 7861
PATIENCE_MS = 600_000
DESK, TELEPHONE = (1280, 800), (420, 860)
WORDS = ("a dog in a desert", "a dog in a snowy field")
PLAYABLE = "[...document.querySelectorAll('video')].every((each) => each.readyState > 1)"


def main(images: Path) -> None:
    """Takes them all."""
    with tempfile.TemporaryDirectory() as data, served(data) as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        address = edits(browser, url, images)
        variants(browser, url, images)
        telephone(browser, address, images)
        browser.close()


def edits(browser: Browser, url: str, images: Path) -> str:
    """Two edits of the sample; the address of the second."""
    page = opened(browser, url, DESK)
    page.click("#sample")
    for words in WORDS:
        page.fill("#words", words)
        page.get_by_role("button", name="Edit the clip").click()
        page.wait_for_url("**/#/job/*")
        page.get_by_role("link", name="Download", exact=True).wait_for()
        address = page.url
        if words == WORDS[-1]:
            keep(page, images / "page.jpg")
            page.get_by_role("button", name="Difference", exact=True).click()
            keep(page, images / "page-difference.jpg")
        page.get_by_role("link", name="Back to the clip").click()
    page.get_by_role("button", name="Painted part").click()
    page.get_by_role("button", name="Use this mask").wait_for()
    paint(page)
    keep(page, images / "page-painter.jpg")
    page.get_by_role("button", name="Cancel", exact=True).click()
    page.get_by_role("link", name="History").click()
    page.get_by_label(f"Compare: {WORDS[0]}").check()
    page.get_by_label(f"Compare: {WORDS[1]}").check()
    keep(page, images / "page-history.jpg")
    return address


def paint(page: Page) -> None:
    """Strokes over the dog of the sample."""
    page.wait_for_timeout(1000)
    box = page.locator(".painter canvas").bounding_box()
    assert box is not None
    for row, left, right in ((0.55, 0.38, 0.39), (0.62, 0.24, 0.37), (0.67, 0.24, 0.37), (0.77, 0.24, 0.25)):
        page.mouse.move(box["x"] + left * box["width"], box["y"] + row * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + right * box["width"], box["y"] + row * box["height"], steps=8)
        page.mouse.up()


def variants(browser: Browser, url: str, images: Path) -> None:
    """Four variants, in the dark."""
    page = opened(browser, url, DESK, scheme="dark")
    page.click("#sample")
    page.fill("#words", "a dog on a beach in the evening")
    page.get_by_role("button", name="Try four").click()
    while page.evaluate("document.querySelectorAll('.variant video').length") < 4:
        page.wait_for_timeout(500)
    page.locator(".variants").scroll_into_view_if_needed()
    keep(page, images / "page-variants.jpg")


def telephone(browser: Browser, address: str, images: Path) -> None:
    """A result on a small screen."""
    page = opened(browser, address, TELEPHONE)
    page.get_by_role("link", name="Download", exact=True).wait_for()
    keep(page, images / "page-telephone.jpg")


def opened(browser: Browser, url: str, size: tuple[int, int], *, scheme: str = "light") -> Page:
    """A new user's page."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(url)
    return page


def keep(page: Page, path: Path) -> None:
    """Writes what the page shows, once its clips are there."""
    while not page.evaluate(PLAYABLE):
        page.wait_for_timeout(100)
    page.wait_for_timeout(1500)
    Image.open(BytesIO(page.screenshot())).convert("RGB").save(path, quality=88)
    print(path)


@contextmanager
def served(data: str) -> Iterator[str]:
    """The address of `recast serve`, until the block ends."""
    command = [sys.executable, "-m", "recast", "serve", "--port", str(PORT), "--data-dir", data]
    server, url = subprocess.Popen(command), f"http://127.0.0.1:{PORT}"
    try:
        while True:
            try:
                urlopen(f"{url}/api/v1/health").close()
                break
            except URLError:
                time.sleep(0.2)
        yield url
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
