"""Masks, variants, history and comparison, the token, small screens and keys, in a real browser."""

import time

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from browsing import PATIENCE_MS, edited, quick, sent, shown, until
from recast.app.client import Client, ClientJob

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_a_mask_is_painted_followed_and_keeps_the_rest(page, url, clip):
    sent(page, clip)
    page.get_by_role("button", name="Painted part").click()
    canvas = page.locator(".painter canvas")
    until(page, "document.querySelector('.painter img').naturalWidth > 0")
    page.get_by_role("button", name="Use this mask").click()
    page.get_by_text("Nothing is painted yet").wait_for()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.8 * box["height"], steps=6)
    page.mouse.up()
    page.get_by_role("button", name="Use this mask").click()
    page.get_by_text("Being followed through the clip").wait_for()
    page.reload()
    shown(page)
    page.get_by_text("Followed through the clip", exact=True).wait_for()
    quick(page, "a snowy field")
    job = Client(url).ask("GET", f"/jobs/{edited(page)}")
    mask = Client(url).ask("GET", f"/files/{job['mask']}")
    assert (mask["frames"], mask["width"], mask["height"]) == (8, 160, 96)


def test_a_mask_can_be_painted_by_keys(page, clip):
    sent(page, clip)
    page.get_by_role("button", name="All but it").click()
    until(page, "document.activeElement.tagName === 'CANVAS'")
    painted = "document.querySelector('canvas').getContext('2d').getImageData(0, 0, 160, 96).data.some(Boolean)"
    assert not page.evaluate(painted)
    for key in ("ArrowLeft", "ArrowUp", " "):
        page.keyboard.press(key)
    assert page.evaluate(painted)
    page.keyboard.press("Control+z")
    assert not page.evaluate(painted)
    page.get_by_role("button", name="Cancel").click()
    shown(page)


def test_four_variants_are_tried_and_one_seed_is_taken(page, clip):
    sent(page, clip)
    quick(page, "a desert")
    page.get_by_role("button", name="Try four").click()
    until(page, "document.querySelectorAll('.variant video').length === 4")
    page.get_by_role("button", name="Take seed 2").click()
    assert page.input_value("#seed") == "2"
    page.reload()
    until(page, "document.querySelectorAll('.variant video').length === 4")
    assert page.get_by_role("button", name="Seed 2 is chosen").is_visible()


def test_the_history_is_searched_and_any_two_are_compared(page, clip):
    sent(page, clip)
    for words in ("a purple beach", "a golden beach"):
        quick(page, words)
        edited(page)
        page.get_by_role("link", name="Back to the clip").click()
    page.get_by_role("link", name="History").click()
    page.locator("#search").wait_for()
    page.keyboard.press("/")
    page.keyboard.type("beach purple")
    until(page, "document.querySelectorAll('.card').length === 1")
    page.get_by_label("Compare: a purple beach").check()
    page.fill("#search", "golden")
    page.get_by_label("Compare: a golden beach").check()
    page.get_by_role("link", name="Compare two").click()
    until(page, "[...document.querySelectorAll('.frame video')].filter((each) => each.videoWidth === 160).length === 2")
    page.get_by_role("button", name="Side by side").click()
    assert page.locator(".frame .screen").get_attribute("data-mode") == "side"
    page.get_by_role("link", name="Back to the history").click()
    page.fill("#search", "no such words")
    page.get_by_text('Nothing is found for "no such words".').wait_for()


def test_a_server_with_a_token_asks_for_it_once(browser, guarded):
    with browser.page(guarded) as page:
        page.get_by_role("textbox", name="Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("does not know this token").wait_for()
        page.get_by_role("textbox", name="Token").fill("a" * 20)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("dialog").wait_for(state="detached")
        page.reload()
        page.get_by_role("link", name="Models").click()
        page.get_by_role("cell", name="pocket-words").wait_for()
        assert not page.get_by_role("dialog").count()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_fits_a_telephone_in_light_and_dark(browser, url, clip, scheme):
    with browser.page(url, viewport={"width": 420, "height": 800}, color_scheme=scheme) as page:
        sent(page, clip)
        for address in ("#/", "#/history", "#/models", "#/system"):
            page.goto(url + "/" + address)
            page.wait_for_timeout(500)
            assert page.evaluate("document.documentElement.scrollWidth") <= 420, address
        ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert (sum(int(part) for part in ground[4:-1].split(",")) < 200) == (scheme == "dark")


def test_the_page_can_be_used_without_a_mouse(page, clip):
    sent(page, clip)
    page.locator("#words").focus()
    page.keyboard.type("a snowy field")
    reached, began = set(), time.monotonic()
    while "Edit the clip" not in reached and time.monotonic() - began < 60:
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
    assert {"method", "model", "seed", "format", "try", "Edit the clip"} <= reached
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("i")
    assert float(page.get_by_label("In point").input_value()) > 0


def test_a_method_that_the_model_cannot_do_is_marked_and_said_in_one_line(page, clip):
    sent(page, clip)
    page.fill("#words", "a snowy field")
    page.locator("#method optgroup[label='Not by pocket'] option").first.wait_for(state="attached")
    page.select_option("#method", "instruct-pix2pix")
    line = page.locator("#panel .alert")
    line.wait_for()
    assert line.inner_text().startswith("instruct-pix2pix cannot edit by pocket: its network reads no picture")
    assert page.get_by_role("button", name="Edit the clip").is_disabled()
    page.select_option("#method", "flowedit")
    line.wait_for(state="detached")
    assert page.get_by_role("button", name="Edit the clip").is_enabled()


def test_settings_change_over_the_clip_and_what_is_wrong_is_said_beside_them(page, url, clip):
    sent(page, clip)
    quick(page, "a meadow")
    page.click("summary")
    words = page.locator("[data-schedule=words]")
    words.fill("a meadow, 4: a snowy field")
    words.dispatch_event("change")
    wrong = page.locator("#schedule-words-wrong")
    wrong.get_by_text("it should begin with a key").wait_for()
    assert page.get_by_role("button", name="Edit the clip").is_disabled()
    words.fill("0: a meadow, 4: a snowy field")
    words.dispatch_event("change")
    wrong.get_by_text("prompt is given, and a schedule of it too").wait_for()
    page.fill("#words", "")
    wrong.wait_for(state="hidden")
    page.select_option("#method", "rave")
    wrong.get_by_text("rave takes one prompt for all frames").wait_for()
    page.select_option("#method", "gen1")
    wrong.wait_for(state="hidden")
    page.get_by_role("button", name="Edit the clip").click()
    page.wait_for_url("**/#/job/*")
    job = ClientJob(Client(url), page.url.rpartition("/")[2])
    assert job.wait()["settings"]["schedules"] == {"words": "0: a meadow, 4: a snowy field"}
    page.get_by_role("button", name="Use these settings", exact=True).click()
    expect(words).to_have_value("0: a meadow, 4: a snowy field", timeout=PATIENCE_MS)
