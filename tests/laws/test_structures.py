"""Several structures at once: each ControlNet's residuals times its weight, in its share of the steps, or a refusal."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch.testing import assert_close

import recast
from animatediff_folder import tiny_controlnet, write_animatediff
from recast.backbones.families import BACKBONES, family_of
from recast.backbones.tiny import tiny
from recast.conditions.detail import as_pictures
from recast.control import ControlResiduals
from recast.denoising import Branch
from recast.diffusion.parameterization import scale_input
from recast.diffusion.schedule import sigmas_within
from recast.editing.structures import NamedStructure, named_structures
from recast.errors import BackboneError, RequestError, ShapeError, WeightsError
from recast.model.folder import ModelFolder, quiet
from recast.types import Clip, Condition, Kind, Structure

FRAMES, STEPS = 3, 4


def write_two_controlnets(path, structures=("depth", "edges")):
    """A folder whose second ControlNet stands where diffusers' MultiControlNetModel saves it."""
    write_animatediff(path, depth=True)
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(7)
        tiny_controlnet(UNet2DConditionModel.from_pretrained(path / "unet")).save_pretrained(path / "controlnet_1")
    (path / "recast.json").write_text(json.dumps({"structures": list(structures)}))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_two_controlnets(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def backbone(folder):
    found = ModelFolder.found(folder)
    with quiet():
        return BACKBONES[family_of(found)](found)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def structure(kind, **settings):
    rng = torch.Generator().manual_seed(len(kind))
    return Structure(kind, torch.rand(FRAMES, 1, 32, 48, generator=rng), **settings)


def structured(backbone, *structures):
    return backbone.with_structures(Condition(drawn(77, 16), backbone.null_tokens()), structures, STEPS)


def asked(backbone, condition, sigma=2.0):
    x = drawn(FRAMES, 4, 4, 6)
    return backbone.denoise_branches(x, sigma, condition, [Branch(condition.cond)])[0]


def test_two_structures_are_the_weighted_sum_of_their_controlnets_residuals(backbone):
    depth, edges = structure(Kind.DEPTH, weight=0.5), structure(Kind.EDGES, weight=2.0)
    condition, parts = structured(backbone, depth, edges), []
    x, sigma = scale_input(drawn(FRAMES, 4, 4, 6), 2.0), torch.tensor(backbone.schedule.sigma_to_timestep(2.0))
    for each in (depth, edges):
        pictures = backbone.structure_channels(each)
        tokens = condition.cond.expand(FRAMES, -1, -1)
        down, mid = backbone.controlnets[each.kind](x, sigma, tokens, pictures, return_dict=False)
        parts.append([each.weight * features for features in (*down, mid)])
    *down, mid = [one + other for one, other in zip(*parts, strict=True)]
    by_hand = replace(condition, controls=(), residuals=ControlResiduals(tuple(down), mid))
    assert_close(asked(backbone, condition), asked(replace(backbone, controlnets={}), by_hand), atol=1e-5, rtol=1e-5)


def test_one_structure_throughout_gives_the_bits_of_its_channels(backbone):
    depth = structure(Kind.DEPTH)
    plain = Condition(drawn(77, 16), backbone.null_tokens(), backbone.structure_channels(depth))
    assert torch.equal(asked(backbone, structured(backbone, depth)), asked(backbone, plain))


def test_outside_its_range_a_structure_is_not_there(backbone):
    sigmas = backbone.sigmas(STEPS)
    both = structured(backbone, structure(Kind.DEPTH), structure(Kind.EDGES, within=(0.0, 0.5)))
    alone = structured(backbone, structure(Kind.DEPTH))
    same = [torch.equal(*(asked(backbone, each, sigma) for each in (both, alone))) for sigma in sigmas[:-1]]
    assert same == [False, False, True, True]


def test_controls_follow_their_frames(backbone):
    condition, picks = structured(backbone, structure(Kind.DEPTH), structure(Kind.EDGES)), torch.tensor([2, 0])
    for control, chosen in zip(condition.controls, condition.at(picks).controls, strict=True):
        assert torch.equal(chosen.pictures, control.pictures[picks])


def test_a_range_is_whole_steps_as_in_diffusers(backbone):
    sigmas = [8.0, 4.0, 2.0, 1.0, 0.0]
    for start, stop in [(0.0, 1.0), (0.0, 0.6), (0.25, 0.75), (0.3, 1.0)]:
        kept = [not (i / 4 < start or (i + 1) / 4 > stop) for i in range(4)]
        low, high = sigmas_within(sigmas, (start, stop), whole=True)
        assert [low <= sigma <= high for sigma in sigmas[:-1]] == kept
    with pytest.raises(RequestError, match=r"from 0 to 0\.2 of the walk, which holds none of its 4 steps"):
        structured(backbone, structure(Kind.DEPTH, within=(0.0, 0.2)))


def test_planes_take_one_structure_whole():
    gen1 = tiny()
    condition = Condition(drawn(2, 16), drawn(2, 16))
    depth, edges = structure(Kind.DEPTH), structure(Kind.EDGES)
    planes = gen1.with_structures(condition, [depth], STEPS).structure_channels
    assert torch.equal(planes, gen1.structure_channels(depth))
    with pytest.raises(BackboneError, match=r"reads one structure and was given 2 \(depth, edges\)"):
        gen1.with_structures(condition, [depth, edges], STEPS)
    for changed in (replace(depth, weight=0.5), replace(depth, within=(0.0, 0.5))):
        with pytest.raises(BackboneError, match=r"depth cannot have (weight 0\.5|range 0-0.5) here"):
            gen1.with_structures(condition, [changed], STEPS)


def test_controls_are_refused_by_a_model_without_controlnets(backbone):
    with pytest.raises(BackboneError, match="prepared for ControlNets, and this model has none"):
        asked(tiny(), structured(backbone, structure(Kind.DEPTH)))


def test_structure_channels_beside_controls_are_refused(backbone):
    depth = structure(Kind.DEPTH)
    both = replace(structured(backbone, depth), structure_channels=backbone.structure_channels(depth))
    with pytest.raises(BackboneError, match="structure channels are given beside controls of depth"):
        asked(backbone, both)


def test_maps_of_another_number_of_channels_are_refused():
    with pytest.raises(ShapeError, match="depth has 1 channels a map, not 3"):
        Structure(Kind.DEPTH, torch.zeros(1, 3, 8, 8))


def test_one_channel_is_grey_and_three_are_a_picture():
    maps = drawn(2, 3, 8, 8)
    assert torch.equal(as_pictures(maps), maps)
    assert torch.equal(as_pictures(maps[:, :1]), torch.cat([maps[:, :1]] * 3, dim=1))
    with pytest.raises(ShapeError, match="maps of 2 channels are no pictures of 3"):
        as_pictures(maps[:, :2])


def test_another_number_of_controlnets_than_of_kinds_is_refused(tmp_path):
    found = ModelFolder.found(write_two_controlnets(tmp_path, structures=("depth",)))
    with pytest.raises(WeightsError, match=r"2 ControlNets, and recast\.json names 1 structures"):
        BACKBONES[family_of(found)](found)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("depth", NamedStructure(Kind.DEPTH)),
        ("depth:0.8", NamedStructure(Kind.DEPTH, 0.8)),
        ("edges@0.2-1", NamedStructure(Kind.EDGES, 1.0, (0.2, 1.0))),
        ("edges:.5@0-0.6", NamedStructure(Kind.EDGES, 0.5, (0.0, 0.6))),
    ],
)
def test_structures_are_named_with_weight_and_range(text, named):
    assert named_structures((text,)) == (named,)


@pytest.mark.parametrize(
    ("texts", "wrong"),
    [
        (("depth:much",), "write KIND, KIND:WEIGHT or KIND:WEIGHT@FROM-TO"),
        (("depth:11",), "weights go from 0 to 10"),
        (("depth@0.6-0.2",), "acts from 0.6 to 0.2; shares rise"),
        (("depth", "depth:2"), "structures are depth, depth; name at least one, and each kind once"),
        ((), "structures are none"),
    ],
)
def test_structures_that_cannot_be(texts, wrong):
    with pytest.raises(RequestError, match=wrong):
        named_structures(texts)


def test_an_edit_is_told_two_structures(folder):
    clip = Clip(torch.randint(0, 256, (FRAMES, 3, 32, 48), dtype=torch.uint8), Fraction(8))
    editor = recast.load(folder)
    one, two, later = (
        editor(clip, prompt="dog", steps=2, structure=names).frames
        for names in ("depth", ("depth", "edges:2"), ("depth", "edges:2@0.5-1"))
    )
    assert len({each.numpy().tobytes() for each in (one, two, later)}) == 3
