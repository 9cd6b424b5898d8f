"""The whole flow on a tiny model: what stays of the source, what the record says, and what stops it."""

import dataclasses
import json

import pytest
import torch
from PIL import Image

from recast.editing.edit import edit
from recast.editing.knob_names import knobs_of
from recast.editing.loaded import Model, chosen_dtype
from recast.editing.prepared import prepare
from recast.editing.progress import Stage, no_progress, stage
from recast.editing.record import Record, digest
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.stages import export, generate
from recast.engine.device import chosen_device
from recast.errors import BackboneError, Cancelled, MediaError, OutOfMemoryError, RecastWarning, RequestError
from recast.types import Clip
from recast.video.read import Window, opened, read
from recast.video.record import embedded
from tiny_folder import KNOWN_WORDS, clip_folder, written

FRAMES, SIZE = 5, (40, 52)
RECORDED = {"size", "frames", "knobs", "steps", "cfg", "ensemble", "window", "device", "dtype", "enlarged"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model.loaded(str(written(tmp_path_factory.mktemp("model"))))


@pytest.fixture
def source(tmp_path):
    return clip_folder(tmp_path / "source", frames=FRAMES, size=SIZE)


@pytest.fixture
def request_(source, tmp_path):
    return Request.asked(source=source, target=tmp_path / "out", prompt="a red ball", steps=2)


def resolved_of(request, model):
    return resolve(request, model, opened(request.source))


def generated(request, model):
    resolved = resolved_of(request, model)
    return generate(resolved, prepare(resolved, model), model)


def pixels(path):
    return read(opened(path), Window()).frames


def half_mask(path):
    mask = Image.new("L", SIZE[::-1])
    mask.paste(255, (0, 0, 20, SIZE[0]))
    mask.save(path)
    return path


@pytest.mark.parametrize("structure", ["depth", "edges"])
@pytest.mark.parametrize("ending", ["", ".mp4"])
def test_frames_size_and_rate_are_the_sources(request_, model, tmp_path, ending, structure):
    target = tmp_path / f"edited{ending}"
    edited = edit(dataclasses.replace(request_, target=target, structure=structure), model)
    before, after = opened(request_.source), opened(target)
    assert (after.num_frames, after.size, after.fps) == (before.num_frames, before.size, before.fps)
    assert edited.num_frames == FRAMES


def test_each_stage_is_told_from_its_start_to_its_end_in_order(request_, model):
    steps = []
    edit(request_, model, lambda *step: steps.append(step))
    assert list(dict.fromkeys(name for name, _, _ in steps)) == [*Stage]
    for name in Stage:
        counts = [(done, total) for stage, done, total in steps if stage == name]
        assert counts[0][0] == 0
        assert counts[-1][0] == counts[-1][1]
        assert counts == sorted(counts)


def test_the_same_request_gives_the_same_bytes_and_another_seed_other_ones(request_, model, tmp_path):
    targets = [tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4")]
    for target, seed in zip(targets, (1, 1, 2), strict=True):
        edit(dataclasses.replace(request_, target=target, seed=seed), model)
    first, again, other = (target.read_bytes() for target in targets)
    assert first == again != other


@pytest.mark.parametrize("side", ["inside", "outside"])
def test_outside_the_mask_the_sources_pixels_stay_bit_for_bit(request_, model, tmp_path, side):
    feather, edge = 3, 20
    masked = dataclasses.replace(request_, mask=half_mask(tmp_path / "m.png"), edit=side, feather=feather)
    edit(masked, model)
    before, after = pixels(request_.source), pixels(masked.target)
    left, right = slice(0, edge - feather), slice(edge + feather, None)
    changed, kept = (left, right) if side == "inside" else (right, left)
    assert torch.equal(before[..., kept], after[..., kept])
    assert not torch.equal(before[..., changed], after[..., changed])


def test_a_mask_over_everything_is_no_mask(request_, model, tmp_path):
    Image.new("L", SIZE[::-1], 255).save(tmp_path / "white.png")
    edit(request_, model)
    masked = dataclasses.replace(request_, mask=tmp_path / "white.png", target=tmp_path / "masked")
    edit(masked, model)
    assert torch.equal(pixels(request_.target), pixels(masked.target))
    joined = Record.made(masked, model_digest=model.digest, worked={})
    assert joined.digital_source_type.endswith("/compositeWithTrainedAlgorithmicMedia")


def test_strength_zero_is_the_autoencoders_own_picture(request_, model):
    request = request_.updated(strength=0)
    edited = generated(request, model)
    encoded = model.backbone.encode(edited.prepared.clip.frames)
    assert torch.equal(edited.frames, model.backbone.decode(encoded))


def test_the_record_is_the_whole_request_and_nothing_of_the_day(request_, model, tmp_path):
    request = dataclasses.replace(request_, target=tmp_path / "out.mp4", structure_detail=3.5)
    edit(request, model)
    record = Record.from_json(embedded(request.target))
    assert Request.from_dict(record.request) == dataclasses.replace(
        request, target=None, model=model.name, method="gen1"
    )
    assert record.model == {"name": model.name, "digest": model.digest}
    assert record.inputs == {str(request.source): digest(request.source)}
    assert record.digital_source_type.endswith("/digitalsourcetype/trainedAlgorithmicMedia")
    assert record.worked["enlarged"] == {"by": "guided", "strength": 0.5}
    assert set(record.worked) == RECORDED
    assert record.worked["knobs"] == knobs_of("gen1")
    assert (record.worked["cfg"], record.worked["window"], record.worked["steps"]) == (2.0, 4, 2)


def test_a_damaged_record_is_refused():
    with pytest.raises(MediaError, match="record is damaged"):
        Record.from_json(json.dumps({"request": {}}))


def test_digests_see_each_byte_and_each_name(tmp_path):
    folder = clip_folder(tmp_path / "clip", frames=2)
    before = digest(folder)
    (folder / "001.png").rename(folder / "002.png")
    renamed = digest(folder)
    with (folder / "000.png").open("ab") as file:
        file.write(b"\0")
    assert len({before, renamed, digest(folder)}) == 3


def test_negative_words_change_the_clip(request_, model):
    plain, other = (generated(request, model) for request in (request_, request_.updated(negative="snow")))
    assert not torch.equal(plain.frames, other.frames)


def test_pictures_count_as_content(request_, model, source):
    request = dataclasses.replace(request_.updated(image=str(source / "000.png")), words=())
    assert generated(request, model).record.inputs[str(source / "000.png")]


@pytest.mark.filterwarnings("ignore:the walk back:recast.errors.RecastWarning")
def test_a_method_that_reads_pictures_apart_from_words_asks_for_both(request_, model, source):
    asked, picture = request_.updated(method="make-a-protagonist"), str(source / "000.png")
    with pytest.raises(RequestError, match=r"a picture is missing; say both -p and --image"):
        generated(asked, model)
    with pytest.raises(RequestError, match="words are missing"):
        generated(dataclasses.replace(asked.updated(image=picture), words=()), model)
    whole, none = (
        generated(asked.updated(image=picture, knobs={"picture_weight": weight}), model).frames for weight in (1, 0)
    )
    assert not torch.equal(whole, none)


def test_a_clip_from_memory_needs_no_file(request_, model):
    held = Clip(pixels(request_.source), opened(request_.source).fps)
    resolved = resolve(request_, model, held)
    edited = generate(resolved, prepare(resolved, model), model)
    assert torch.equal(edited.frames, generated(request_, model).frames)


def test_words_that_the_model_does_not_know_are_named_with_near_ones(request_, model):
    assert "snowy" in KNOWN_WORDS
    with pytest.warns(RecastWarning, match="does not know: zebra, snowi .near: snow, snowy"):
        edit(request_.updated(prompt="red zebra snowi"), model)


def test_maps_are_exported_at_the_sources_size(request_, model, tmp_path):
    sharp, soft = (resolved_of(request_.updated(structure_detail=detail), model) for detail in (0, 6))
    seen = prepare(sharp, model)
    export(sharp, seen, model, tmp_path / "sharp")
    export(soft, seen, model, tmp_path / "soft")
    sharp, soft = pixels(tmp_path / "sharp"), pixels(tmp_path / "soft")
    assert sharp.shape == (FRAMES, 3, *SIZE)
    assert torch.equal(sharp[:, 0], sharp[:, 2])
    assert soft.float().var() < sharp.float().var()


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_short_memory_is_told_with_what_to_do(error):
    with pytest.raises(OutOfMemoryError, match="in stage decode; use fewer frames"), stage(Stage.DECODE, no_progress):
        raise error


def test_errors_say_in_which_stage():
    with pytest.raises(KeyError) as raised, stage(Stage.READ, no_progress):
        raise KeyError
    assert raised.value.__notes__ == ["in stage read"]


@pytest.mark.parametrize("at", [*Stage])
def test_stopped_at_any_stage_nothing_is_left(request_, model, at):
    started = at in {Stage.DENOISE, Stage.DECODE, Stage.WRITE}

    def watch(name, done, _total):
        if name == at and done >= started:
            raise Cancelled("stopped")

    before = sorted(request_.target.parent.iterdir())
    with pytest.raises(Cancelled):
        edit(request_, model, watch)
    assert sorted(request_.target.parent.iterdir()) == before


def test_a_structure_that_the_model_does_not_know_is_refused(request_, model):
    facts = dataclasses.replace(model.folder.metadata, structures=("depth",))
    depth_only = dataclasses.replace(model, backbone=dataclasses.replace(model.backbone, metadata=facts))
    with pytest.raises(BackboneError, match="cannot be conditioned on edges"):
        edit(request_.updated(structure="edges"), depth_only)


def test_devices_and_number_formats():
    assert chosen_dtype("auto", torch.device("cpu")) == torch.float32
    assert chosen_dtype("auto", torch.device("cuda")) == torch.bfloat16
    assert chosen_device("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        with pytest.raises(RequestError, match="this machine has no cuda"):
            chosen_device("cuda")
