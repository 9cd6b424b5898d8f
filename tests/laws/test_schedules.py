"""Settings that change over the frames: at a key its value, between keys on the way; constant ones change nothing."""

from fractions import Fraction

import pytest
import torch

import recast
from recast.conditions.blend import tokens_over
from recast.curves import Curve, Keys
from recast.denoising import Branch
from recast.diffusion.guidance import guided
from recast.editing.denoise import encoded_contents, structured
from recast.editing.prepared import Prepared
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.schedules import Keyed
from recast.errors import RequestError
from recast.types import Clip, Condition, Kind, Structure
from tiny_folder import written

pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")


@pytest.fixture(scope="module")
def editor(tmp_path_factory):
    return recast.load(written(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def clip():
    rng = torch.Generator().manual_seed(1)
    return Clip(torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=rng), Fraction(8), first=2)


def edited(editor, clip, **settings):
    return editor(clip, steps=2, window=4, cuts="none", **{"prompt": "dog"} | settings).frames


@pytest.mark.parametrize(
    ("way", "expected"),
    [("linear", [2, 2, 3, 4, 5, 6, 6]), ("hold", [2, 2, 2, 2, 2, 6, 6]), ("ease", [2, 2, 2.625, 4, 5.375, 6, 6])],
)
def test_numbers_go_from_key_to_key(way, expected):
    curve = Keyed.parsed("cfg", f"{way} 4: 2, 8: 6").curve(Fraction(8))
    assert [curve(frame) for frame in range(3, 10)] == expected
    assert curve.at(range(3, 10)).tolist() == expected
    assert Keyed.parsed("cfg", f"{way} 0.5s: 2, 1s: 6").curve(Fraction(8)) == curve


def test_words_may_hold_commas_and_colons():
    keyed = Keyed.parsed("words", "0: a street, wet, at 10:30, 48:snow: deep, and 3 cows")
    assert keyed.keys == ("0", "48")
    assert keyed.values == ("a street, wet, at 10:30", "snow: deep, and 3 cows")
    assert Request.asked(prompt="0: a meadow, 48: a snowy field").words == (("0: a meadow, 48: a snowy field", 1.0),)
    assert Request.asked(schedules={"cfg": {0: 2, 48: 6}}).schedules == {"cfg": "0: 2, 48: 6"}
    assert Request.asked(schedules=["prompt=0: a, 9: b"]).schedules == {"words": "0: a, 9: b"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cfg": "2, 48: 6"}, "should begin with a key"),
        ({"cfg": "0: 2, 48: much"}, "says 'much' at 48; it should be a number"),
        ({"cfg": "0: 2, 48: 600"}, "cfg is '600'; it should be less than or equal to 100"),
        ({"strength": "0: 2"}, "strength is '2'"),
        ({"prompt": "0: , 3: dog"}, "says nothing at 0"),
        ({"steps": "0: 2"}, "there is no setting with a schedule 'steps'; known: prompt, image, structure_detail"),
    ],
)
def test_what_cannot_be_a_schedule_is_refused(settings, message):
    with pytest.raises(RequestError, match=message):
        Request.asked(schedules=settings, method="gen1")
    with pytest.raises(RequestError, match="frames that rise"):
        Keyed.parsed("cfg", "5: 2, 5: 6").curve(Fraction(8))


@pytest.mark.parametrize(
    ("plain", "schedules"),
    [
        ({"prompt": "cat"}, {"prompt": "0: cat, 48: cat"}),
        ({"cfg": 3, "structure_detail": 2}, {"cfg": "0: 3", "structure_detail": "0: 2, 9: 2"}),
        ({"strength": 0.5, "temporal_guidance": 1.5}, {"strength": "0: 0.5", "temporal_guidance": "0: 1.5"}),
    ],
)
def test_a_constant_schedule_is_the_plain_edit(editor, clip, plain, schedules):
    more = {} if "prompt" not in plain else {"prompt": ()}
    assert torch.equal(
        edited(editor, clip, method="gen1", schedules=schedules, **more), edited(editor, clip, method="gen1", **plain)
    )


@pytest.mark.parametrize("schedules", [{"cfg": "0: 1, 4: 9"}, {"structure_detail": "0: 0, 9: 7"}])
def test_frames_that_see_no_other_are_each_the_plain_edit_of_their_value(editor, clip, schedules):
    """`depth-frames` edits frames apart, so frame i of a schedule is frame i of the plain edit with its value."""
    whole = edited(editor, clip, method="depth-frames", schedules=schedules)
    (name, text), frame = next(iter(schedules.items())), 3
    value = Keyed.parsed(name, text).curve(clip.fps)(clip.first + frame)
    plain = edited(editor, clip, method="depth-frames", **{name: value})
    # A schedule's values are of single precision, which may round a pixel the other way.
    assert (whole[frame].int() - plain[frame].int()).abs().max() <= 1
    assert (whole[0].int() - plain[0].int()).abs().max() > 1


def resolved_for(editor, clip, **settings):
    return resolve(Request.asked(method="gen1", steps=2, **settings), editor.model, clip)


def test_parts_of_a_clip_are_told_what_the_whole_is_told_there(editor, clip):
    """Frames have absolute numbers: halves, and segments of any size, are conditioned as the whole clip is."""
    model, maps = editor.model, torch.rand(6, 1, 32, 32)
    text = {"prompt": "ease 1: cat, 7: dog", "structure_detail": "3: 0, 6: 7"}
    resolved = resolved_for(editor, clip, schedules=text)
    contents, keyed = encoded_contents(resolved, model), resolved.keyed

    def condition(first, last):
        part = Clip(clip.frames[first:last], clip.fps, clip.first + first)
        prepared = Prepared(part, (Structure(Kind.DEPTH, maps[first:last]),))
        cond = tokens_over(keyed.keys, contents.keyed, part.latent_frames(1))
        return structured(resolved, prepared, Condition(cond, model.backbone.null_tokens()), model)

    whole = condition(0, 6)
    for first, last in ((0, 3), (3, 6), (1, 2)):
        part, cut = condition(first, last), whole.at(torch.arange(first, last))
        assert torch.equal(part.cond, cut.cond)
        assert torch.equal(part.structure_channels, cut.structure_channels)
    plain = model.backbone.encode_content(resolved_for(editor, clip, prompt="cat").cond, seed=0)
    edited_at_key = condition(5, 6).cond[0]  # frame 7 of the source
    assert torch.equal(contents.keyed[0], plain)
    assert torch.equal(edited_at_key, contents.keyed[1])


def test_guidance_weighs_each_frame_by_its_number():
    shape, numbers = (4, 2, 2, 2), torch.arange(10, 14)
    predicted = {True: torch.full(shape, 3.0), False: torch.full(shape, 1.0)}
    tokens = torch.ones(1, 4), torch.zeros(1, 4)
    condition = Condition(*tokens, frames=numbers)

    def branches(x, _sigma, _condition, asked: list[Branch]):
        return [predicted[bool(branch.tokens.any())][: len(x)] for branch in asked]

    curve = Curve(Keys((10, 13)), (0.0, 3.0))
    answer = guided(branches, curve)(torch.zeros(shape), 1.0, condition)
    assert answer[:, 0, 0, 0].tolist() == [1, 3, 5, 7]  # uncond + scale (cond - uncond)
    part = guided(branches, curve)(torch.zeros(2, 2, 2, 2), 1.0, condition.at(torch.tensor([1, 3])))
    assert torch.equal(part, answer[[1, 3]])


def test_strength_may_rise_from_the_source(editor, clip):
    rising = edited(editor, clip, method="gen1", schedules={"strength": "hold 0: 0, 5: 1"})
    still = edited(editor, clip, method="gen1", strength=0)
    assert torch.equal(rising[:3], still[:3])  # frames 2 to 4 of the source
    assert not torch.equal(rising[3:], still[3:])


def test_a_method_that_takes_one_value_says_who_takes_more(editor, clip):
    with pytest.raises(RequestError, match=r"rave takes one prompt for all frames; .*gen1.* take a schedule of it"):
        edited(editor, clip, method="rave", prompt=(), schedules={"prompt": "0: cat, 9: dog"})
    with pytest.raises(RequestError, match="prompt is given, and a schedule of it too"):
        edited(editor, clip, schedules={"prompt": "0: cat, 9: dog"})
