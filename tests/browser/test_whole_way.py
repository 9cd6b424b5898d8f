"""From a clip to its edit in a real browser, with all that may come between: reloads, tabs, refusals, cancelling."""

import json

import pytest

from browsing import edited, quick, sent, shown, until
from recast.cli.app import run

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_a_clip_is_dropped_edited_compared_and_kept(page, clip, tmp_path, capsys):
    sent(page, clip)
    quick(page, "a snowy field")
    job = edited(page)
    until(page, "[...document.querySelectorAll('.screen video')].every((each) => each.videoWidth === 160)")
    for mode in ("Side by side", "Difference", "Source", "Result", "Wipe"):
        page.get_by_role("button", name=mode, exact=True).click()
        assert page.locator(".screen").get_attribute("data-mode") == mode.split()[0].lower()
    page.get_by_label("Place of the wipe").fill("0.25")
    assert page.locator(".screen").evaluate("(screen) => screen.style.getPropertyValue('--wipe')") == "0.25"
    with page.expect_download() as caught:
        page.get_by_role("link", name="Download", exact=True).click()
    assert caught.value.suggested_filename == "a-snowy-field.mp4"
    caught.value.save_as(tmp_path / "kept.mp4")
    assert run(["info", str(tmp_path / "kept.mp4"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert "a snowy field" in json.dumps(record)
    assert page.locator(f"[data-job='{job}']").first.is_visible()


def test_both_clips_of_a_player_stay_in_step(page, clip):
    sent(page, clip)
    page.get_by_label("In point").fill("0.3")
    quick(page, "a desert")
    edited(page)
    shown(page)
    apart = "() => { const [a, b] = document.querySelectorAll('.screen video'); return a.currentTime - b.currentTime; }"
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        until(page, "[...document.querySelectorAll('.screen video')].every((each) => !each.seeking)")
        assert page.evaluate(apart) == pytest.approx(0.3, abs=0.01)
    page.keyboard.press(" ")
    until(page, "() => document.querySelectorAll('.screen video')[1].currentTime > 0.2")
    page.keyboard.press(" ")
    assert page.evaluate(apart) == pytest.approx(0.3, abs=0.05)


def test_a_reload_loses_nothing(page, clip):
    sent(page, clip)
    page.get_by_label("Out point").fill("0.4")
    quick(page, "a beach")
    page.fill("#seed", "5")
    page.keyboard.press("Tab")
    page.reload()
    shown(page)
    assert page.input_value("#words") == "a beach"
    assert page.input_value("#seed") == "5"
    assert float(page.get_by_label("Out point").input_value()) == pytest.approx(0.4)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/#/job/*")
    page.reload()
    page.get_by_role("link", name="Download", exact=True).wait_for()
    page.get_by_role("button", name="Use these settings", exact=True).click()
    assert page.input_value("#seed") == "5"


def test_two_tabs_show_one_queue_and_each_has_its_own_draft(page, clip):
    sent(page, clip)
    quick(page, "a city street at night", steps=40)
    other = page.context.new_page()
    other.goto(page.url)
    shown(other)
    other.fill("#words", "a meadow")
    page.get_by_role("button", name="Edit the clip").click()
    line = other.locator(".jobline", has_text="a city street at night").first
    line.wait_for()
    line.get_by_role("button", name="Cancel").click()
    page.get_by_text('"a city street at night" was cancelled.').wait_for()
    assert page.input_value("#words") == "a city street at night"
    assert other.input_value("#words") == "a meadow"


def test_an_odd_file_is_refused_with_its_reason_in_plain_sight(page, tmp_path):
    odd = tmp_path / "notes.mp4"
    odd.write_text("<script>alert(1)</script> this is no video")
    page.set_input_files("#choose", str(odd))
    alert = page.locator(".welcome [role=alert]")
    alert.wait_for()
    assert alert.inner_text().startswith("notes.mp4 was refused: ")
    assert page.get_by_role("button", name="Edit the clip").is_disabled()


def test_what_no_browser_plays_is_shown_as_a_copy(page, clip, tmp_path):
    assert run(["structure", str(clip), "-o", str(tmp_path / "depth.avi"), "-q"]) == 0
    sent(page, tmp_path / "depth.avi")
    assert page.locator(".screen video").first.evaluate("(video) => video.src").endswith("/view")
