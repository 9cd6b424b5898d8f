"""Words that a model does not know, and the near ones that are offered."""

import pytest

from recast.conditions.vocabulary import unknown

CAPTION = "a person walking a dog or a horse in the snowy field, a bird, a boat, a house, a dark street at night"
KNOWN = frozenset(CAPTION.replace(",", "").split()) | {"pencil", "sketch"}


@pytest.mark.parametrize(
    "text",
    [
        "A dog, in the SNOW",
        "horses walked",
        "two persons walk by houses",
        "sketched",
        "the bird's field",
        "",
        "!? 12",
        "birds",
    ],
)
def test_forms_of_known_words_are_known(text: str) -> None:
    assert not {word: near for word, near in unknown(text, KNOWN).items() if word not in {"two"}}


def test_unknown_words_come_in_order_with_near_ones() -> None:
    found = unknown("a giraffe and a hores at teatime, a giraffe", KNOWN)
    assert list(found) == ["giraffe", "hores", "teatime"]
    assert set(found["giraffe"]) == {"dog", "horse"}
    assert found["hores"][0] == "horse"
    assert found["teatime"] == ()


def test_near_ones_are_known_and_few() -> None:
    found = unknown("zebra castle kayak midnight watercolour quxes", KNOWN)
    assert all(set(near) <= KNOWN and len(near) <= 3 for near in found.values())
    assert found["kayak"] == ("boat",)
    assert found["watercolour"] == ("pencil", "sketch")


def test_a_model_that_names_no_words_claims_nothing() -> None:
    assert unknown("a giraffe", frozenset()) == {}


def test_every_known_word_is_known() -> None:
    assert unknown(" ".join(KNOWN), KNOWN) == {}
