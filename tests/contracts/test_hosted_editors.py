"""Every editor on every family: it edits where the family has what it needs, else it is refused by an error of ours."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image

import recast
from backbone_folders import FOLDERS
from recast.conditions.content import Medium
from recast.errors import RecastError
from recast.methods import METHODS
from recast.methods.needs import Need, lacking
from recast.types import Clip, Kind

CLIP = Clip(
    torch.randint(0, 256, (3, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)), Fraction(8)
)
PAIRS = list(product(sorted(METHODS), FOLDERS))
TURNS = [(method, list(FOLDERS)[number % len(FOLDERS)]) for number, method in enumerate(sorted(METHODS))]
"""Each method on one family, and the next on the next."""
REASONS = ("reads no structure", "cannot start with a picture of", "reads one prompt for a whole clip")
"""Parts of what is said where a method needs more than the parts of a family."""
# One step is few to invert by, and what tiny models do not know is no matter here.
pytestmark = pytest.mark.filterwarnings("ignore::recast.errors.RecastWarning")


@pytest.fixture(scope="module")
def editors(tmp_path_factory):
    """Opens a family's folder when it is asked for."""
    held = {}

    def editor(family):
        if family not in held:
            held[family] = recast.load(str(FOLDERS[family](tmp_path_factory.mktemp("model"))))
        return held[family]

    return editor


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "edited.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)).save(path)
    return str(path)


def asked_of(method, backbone, picture):
    words, by_picture = Medium.WORDS in backbone.media, Medium.PICTURE in backbone.media
    asked = {"prompt": "snow"} if words else {}
    if by_picture and (not words or Need.WORDS_AND_PICTURES in METHODS[method].needs):
        asked["image"] = picture
    if backbone.structure_kinds == {Kind.POSE}:  # no estimator of poses is in the folder
        asked |= {"structure": "pose", "structure_from": {"pose": picture}}
    return asked | ({"source_prompt": "a dog"} if words and METHODS[method].needs_source else {})


@pytest.mark.parametrize(
    ("method", "family"),
    [pytest.param(*pair, marks=() if pair in TURNS else pytest.mark.slow) for pair in PAIRS],
)
def test_it_edits_or_is_refused(editors, picture, method, family):
    editor = editors(family)
    backbone = editor.model.backbone
    asked = asked_of(method, backbone, picture) | {"method": method, "steps": 1}
    edited, refusal = None, ""
    try:
        edited = editor(CLIP, **asked).frames
    except RecastError as error:
        refusal = str(error)
    if edited is None:
        assert "\n" not in refusal
        assert lacking(METHODS[method].needs, backbone) or any(part in refusal for part in REASONS), refusal
    else:
        assert method == "videoswap" or not lacking(METHODS[method].needs, backbone)  # its points need hooks
        assert edited.shape == CLIP.frames.shape
        assert not torch.equal(edited, CLIP.frames)
