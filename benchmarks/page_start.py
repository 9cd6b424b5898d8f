"""How soon the page is there: `python benchmarks/page_start.py --times 5`.

Seconds from `recast serve` to its first answer, how many of them it computed (what they come to on a machine that does
nothing else), whether torch was loaded for it, milliseconds to the first paint in a fresh chromium, and seconds until
the first clip is taken and the first edit of it queued.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from socket import create_server
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

from recast.app.client import Client

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def main() -> None:
    """Prints a line for each start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        subprocess.run([sys.executable, "-m", "recast", "world", "-q", "--frames", "4", "-o", clip], check=True)
        for _ in range(times):
            up_seconds, cpu_seconds, has_torch, paint_ms, (sent, queued) = measured(clip)
            up = f"up {up_seconds:.2f} s, {cpu_seconds:.2f} s of a core, torch loaded: {has_torch}"
            job = f"clip taken {sent:.2f} s, job queued {queued:.2f} s"
            print(f"{up}, first paint {paint_ms:.0f} ms, {job}, load {os.getloadavg()[0]:.1f}", flush=True)


def measured(clip: Path) -> tuple[float, float, bool, float, tuple[float, float]]:
    """One start, in a new data folder."""
    with closing(create_server(("127.0.0.1", 0))) as found:
        port = found.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "recast", "serve", "--port", str(port), "--data-dir", folder]
        began = time.monotonic()
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
            url = f"http://127.0.0.1:{port}/"
            up_seconds = waited(url, began)
            ticks = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            cpu_seconds = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
            has_torch = "libtorch" in Path(f"/proc/{server.pid}/maps").read_text()
            paint_ms = painted(url)
            job = first_job(url, clip)
            server.terminate()
    return up_seconds, cpu_seconds, has_torch, paint_ms, job


def first_job(url: str, clip: Path) -> tuple[float, float]:
    """Seconds until a clip is taken, and from there until an edit of it is queued."""
    client, began = Client(url.rstrip("/")), time.monotonic()
    number = client.send(clip)
    sent = time.monotonic()
    client.submit_sent(number, prompt=["a snowy field"])
    return sent - began, time.monotonic() - sent


def waited(url: str, began: float) -> float:
    """Seconds until the server answers."""
    while True:
        try:
            with urlopen(url) as answer:
                answer.read()
            return time.monotonic() - began
        except URLError:
            time.sleep(0.02)


def painted(url: str) -> float:
    """Milliseconds to the first paint."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        page.wait_for_timeout(1500)
        return page.evaluate(PAINTED)


if __name__ == "__main__":
    main()
