"""Captions: true, varied, and made of known words."""

import re

import numpy as np
import pytest

from recast.world import captioned, sampled, vocabulary
from recast.world.captions import tells_colour
from recast.world.words import COLOURS, ENVIRONMENTS, KINDS, LOOKS, PLACES, STYLES, TIME_ADJECTIVES, TIMES, WEATHERS

TABLES = (ENVIRONMENTS, PLACES, TIMES, WEATHERS, LOOKS, STYLES, KINDS, COLOURS)


def captions(count=300, **wanted):
    scene = sampled(3, **{"textured": 0.1, **wanted})
    return [captioned(scene, np.random.default_rng(seed)) for seed in range(count)]


def mentions(texts, phrases):
    return sum(any(re.search(rf"\b{re.escape(p)}\b", text) for p in phrases) for text in texts) / len(texts)


def test_every_word_is_in_the_vocabulary():
    words = vocabulary()
    for seed in range(400):
        for word in captioned(sampled(seed), np.random.default_rng(seed)).replace(",", "").split():
            assert word in words


def test_no_phrase_means_two_things():
    for table in TABLES:
        phrases = [phrase for phrases in table.values() for phrase in phrases]
        assert len(phrases) == len(set(phrases))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_environment_is_said(environment):
    texts = captions(environment=environment)
    own = ENVIRONMENTS[environment] + tuple(place.split()[-1] for place in PLACES[environment])
    assert mentions(texts, own) > 0.8


@pytest.mark.parametrize("look", [look for look in LOOKS if look != "plain"])
def test_the_look_is_said(look):
    texts = captions(look=look)
    assert mentions(texts, LOOKS[look] + STYLES[look]) > 0.85
    for other in LOOKS:
        if other != look:
            assert mentions(texts, LOOKS[other]) == 0


@pytest.mark.parametrize("time", TIMES)
def test_the_hour_is_said_and_no_other(time):
    texts = captions(time=time, weather="fog")
    assert mentions(texts, TIMES[time] + TIME_ADJECTIVES[time]) > (0.15 if time == "day" else 0.6)
    for other in TIMES:
        if other != time:
            assert mentions(texts, TIMES[other]) == 0


@pytest.mark.parametrize("weather", WEATHERS)
def test_the_weather_is_said_and_no_other(weather):
    texts = captions(weather=weather, time="day", environment="desert")
    assert mentions(texts, WEATHERS[weather]) > (0.15 if weather == "sun" else 0.6)
    for other in WEATHERS:
        if other != weather:
            assert mentions(texts, WEATHERS[other]) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("colour", ["red", "gray"])
def test_a_colour_belongs_to_its_subject(kind, colour):
    other = "car" if kind != "car" else "dog"
    texts = captions(
        kinds=[kind, other], colours=[colour, "blue"], environment="desert", look="plain", time="day", weather="sun"
    )
    own, others = "|".join(KINDS[kind]), "|".join(KINDS[other])
    colours = "|".join(COLOURS[colour])
    assert mentions(texts, COLOURS[colour]) > 0.4
    for text in texts:
        assert not re.search(rf"\b({colours}) ({others})\b", text)
        assert not re.search(rf"\bblue ({own})\b", text)
        assert not re.search(r"\b(green|purple|pink)\b", text)


@pytest.mark.parametrize(("look", "textured"), [("pencil sketch", 0.1), ("plain", 0.9)])
def test_a_colour_that_does_not_show_is_not_said(look, textured):
    scene = sampled(3, look=look, textured=textured, colours=["purple"], environment="desert")
    assert not tells_colour(scene)
    texts = [captioned(scene, np.random.default_rng(seed)) for seed in range(200)]
    assert mentions(texts, COLOURS["purple"]) == 0


def test_an_environment_under_arbitrary_textures_is_not_said():
    assert mentions(captions(environment="desert", textured=0.9), ("desert", "dunes")) == 0


def test_a_room_has_no_weather():
    assert mentions(captions(environment="room", weather="rain"), WEATHERS["rain"]) == 0


def test_what_people_ask_for_can_be_said():
    snow = captions(1000, environment="snowy field", look="plain", weather="sun", time="day")
    assert "a snowy field in winter" in snow
    assert "a dark street at night" in captions(
        3000, environment="city street", look="plain", weather="sun", time="night"
    )
    assert "pencil sketch" in captions(environment="forest", look="pencil sketch")
    assert len(set(snow)) > 300
