"""Words of a prompt that a model was not trained on, with suggestions of known ones. English."""

import re
from collections.abc import Iterator
from difflib import get_close_matches

NEAR = 3
"""Most suggestions for one word."""
CLOSENESS = 0.75
"""Least similarity of spelling for a suggestion, 0..1; below it words share letters but no meaning."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS = _words(
    """a about above across after against all along also among an and another any are around as at away back be
    been before behind being below beneath beside between both but by can camera clip could did do does doing
    down during each every few film footage for frame from front had has have he her here him his how i image in
    inside into is it its like look looking looks made make many me more most much my near next no not of off on
    one onto or other our out outside over own photo picture scene she shot shown so some something style such
    than that the their them then there these they this those through to together too toward towards turned two
    under up upon us very video view was we were what when where which while who whose will with within without
    you your"""
)
"""Words without visual content."""

FAMILIES: tuple[frozenset[str], ...] = tuple(
    _words(family)
    for family in (
        """animal bear bull camel cat cow deer dog donkey elephant fox giraffe goat hippo horse kangaroo lion llama
        monkey panda pig pony puppy rabbit rhino sheep tiger wolf zebra""",
        "bird chicken crow duck eagle goose hawk owl parrot penguin pigeon seagull sparrow swan turkey",
        """athlete boy boxer child dancer girl guy human jogger king knight lady man men people person queen robot
        runner skier snowboarder soldier woman women""",
        "bicycle bike bus cab car lorry motorbike motorcycle scooter taxi tractor train tram truck van vehicle",
        "boat canoe ferry kayak raft sailboat ship submarine yacht",
        "ball box cube globe marble pumpkin sphere block brick crate",
        "bush flower forest fir grass jungle oak palm pine plant shrub tree wood woods",
        """barn building cabin castle church city cottage home house hut palace skyscraper street temple tower town
        village""",
        "beach bay coast dune desert island lake ocean river sand sea shore water",
        "field garden hill lawn meadow mountain park pasture prairie valley",
        "blizzard fog foggy frost ice mist misty rain rainy snow snowfall snowy storm stormy sunny winter",
        "afternoon dark dawn day daytime dusk evening midnight morning night noon sunrise sunset twilight",
        """animation anime cartoon charcoal clay claymation comic crayon drawing ink neon oil painting pastel pencil
        photorealistic pixel sketch watercolor watercolour""",
        """beige black blue brown crimson cyan gold golden gray green grey magenta orange pink purple red scarlet
        silver teal turquoise violet white yellow""",
    )
)
"""Groups of related words: where no spelling is near, the known members of a word's group are suggested."""

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_ENDINGS = (
    ("ies", "y"),
    ("ing", ""),
    ("ing", "e"),
    ("ed", ""),
    ("ed", "e"),
    ("es", ""),
    ("s", ""),
    ("'s", ""),
    ("y", ""),
)
_SHORTEST_STEM = 3


def unknown(text: str, known: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The words of `text` that `known` has in no inflected form, in order, each with suggestions from it, best first.

    Empty for an empty `known`, which means that the model does not list its vocabulary.
    """
    if not known:
        return {}
    forms = {form for word in known for form in _forms(word.lower())}
    words = dict.fromkeys(_WORD.findall(text.lower()))
    return {word: _near(word, known) for word in words if word not in STOP_WORDS and not forms & set(_forms(word))}


def _forms(word: str) -> Iterator[str]:
    # The word, and the stems it may be a plural, participle or adjective of; a doubled last letter ("running") too.
    yield word
    for ending, instead in _ENDINGS:
        stem = word.removesuffix(ending) + instead
        if word.endswith(ending) and len(stem) >= _SHORTEST_STEM:
            yield stem
            if not instead and stem[-1] == stem[-2]:
                yield stem[:-1]


def _near(word: str, known: frozenset[str]) -> tuple[str, ...]:
    offered = sorted(known - STOP_WORDS)
    spelt = get_close_matches(word, offered, NEAR, CLOSENESS)
    meant = [
        each for family in FAMILIES if family & set(_forms(word)) for each in offered if family & set(_forms(each))
    ]
    return tuple(dict.fromkeys([*spelt, *meant]))[:NEAR]
