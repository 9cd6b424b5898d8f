"""What users do in odd orders: keys pressed twice, jobs that are gone, files given while others are on their way."""

import pytest

from browsing import quick, sent, shown, until
from recast.app.client import Client

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
DROPPED = """(names) => { for (const name of names) {
  const dropped = new DataTransfer();
  dropped.items.add(new File([name], name));
  dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true }));
} }"""


def test_keys_that_are_pressed_again_queue_nothing_more(page, url, clip):
    sent(page, clip)
    quick(page, "a purple field")
    page.locator("#words").focus()
    for _ in range(3):
        page.keyboard.press("Control+Enter")
    page.wait_for_url("**/#/job/*")
    page.get_by_role("link", name="Download", exact=True).wait_for()
    assert [job["prompt"] for job in Client(url).jobs()].count(["a purple field"]) == 1


def test_a_job_that_another_tab_deletes_gives_way_to_the_clip(page, url, clip):
    sent(page, clip)
    quick(page, "a field of sand")
    page.get_by_role("button", name="Edit the clip").click()
    page.wait_for_url("**/#/job/*")
    page.get_by_role("link", name="Download", exact=True).wait_for()
    until(page, "[...document.querySelectorAll('.screen video')].every((each) => each.readyState === 4)")
    with Client(url).open("DELETE", f"/jobs/{page.url.rpartition('/')[2]}"):
        page.wait_for_url("**/#/")
    gone = page.get_by_text("This edit is no longer on the server.")
    gone.wait_for()
    shown(page)
    for address in (f"#/job/{'0' * 32}", f"#/compare/{'0' * 32}/{'1' * 32}"):
        page.goto(f"{url}/{address}")
        until(page, "!/job|compare/.test(location.hash)")
    assert gone.count() == 1


def test_of_files_given_one_after_the_other_the_last_one_counts(page, clip):
    page.evaluate(DROPPED, ["first.mp4", "second.mp4"])
    page.get_by_text("second.mp4 was refused").wait_for()
    sent(page, clip)
    assert page.locator(".ends .name").inner_text().startswith(clip.name)
