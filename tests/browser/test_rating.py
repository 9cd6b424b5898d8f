"""A rater in a real browser: by key and by button, through a kill of the server, to the end and to the scores."""

import json
import re

import pytest

pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect

from recast.cli.app import run
from recast.evaluation.study.answers import read_answers
from recast.evaluation.study.plan import StudyPlan
from served_study import free_port, served_study
from study_films import study_made

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
KEYS = {"left": "ArrowLeft", "right": "ArrowRight"}
SLOW_MS = 120_000
"""A page on a machine that others use too may take long."""


def test_a_rater_answers_every_pair_though_the_server_is_killed(browser, tmp_path, capsys):
    folder = study_made(tmp_path, raters=1) / "study"
    port, errors = free_port(), []
    right = {name: "right" if turned else "left" for name, turned in StudyPlan.opened(folder).seats[0].items}
    page = browser.engine.new_page(viewport={"width": 1100, "height": 800})
    page.set_default_timeout(SLOW_MS)
    page.on("pageerror", lambda error: errors.append(str(error)))
    choices = list(right.values())
    with served_study(folder, port) as url:
        page.goto(url)
        page.get_by_text("Rater 1").click()
        for number in range(3):
            _awaits(page, number, choices)
            page.keyboard.press(KEYS[choices[number]])
        _awaits(page, 3, choices)
    # The server is dead: the answer is not taken, and the page says so and stays.
    page.locator("[data-choice=left]").click()
    expect(page.locator("#trouble")).to_contain_text("not kept", timeout=SLOW_MS)
    assert page.locator("#count").inner_text() == f"4 of {len(choices)}"
    with served_study(folder, port) as url:
        page.goto(f"{url}/?seat=1")  # as after the browser was closed
        _answers_from(page, 3, choices)
    assert errors == []
    assert [(each.pair, each.choice, each.vote) for each in read_answers(folder)] == [
        (name, choice, 1) for name, choice in right.items()
    ]
    assert run(["study", "score", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(each["won"], each["lost"]) for each in found["duels"]] == [(0, 2), (2, 0), (2, 0)]


def _answers_from(page, first, choices):
    for number in range(first, len(choices)):
        _awaits(page, number, choices)
        page.locator(f"[data-choice={choices[number]}]").click()
    page.get_by_text("That was all").wait_for()
    page.locator("#review").click()
    _awaits(page, len(choices) - 1, choices)
    assert page.locator(f"[data-choice={choices[-1]}]").get_attribute("aria-pressed") == "true"


def _awaits(page, number, choices):
    """Waits until the page shows this pair and takes an answer, which it does once both clips were seen."""
    expect(page.locator("#count")).to_have_text(f"{number + 1} of {len(choices)}", timeout=SLOW_MS)
    expect(page.locator("[data-choice=left]")).to_be_enabled(timeout=SLOW_MS)
    prompt = page.locator("#prompt").inner_text()
    assert re.search(r"dog|<b>cat</b>|plain", prompt), prompt
