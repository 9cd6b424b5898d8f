"""A look at an edit as it is denoised: it sees the clean picture, and changes nothing."""

import torch
from PIL import Image

from recast.editing.edit import edit
from recast.editing.glimpse import Glimpse, clean_between
from recast.editing.loaded import Model
from recast.editing.request import Request
from tiny_folder import clip_folder, written


def test_two_places_of_a_straight_walk_tell_where_it_leads():
    rng = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 1, 4, 3, 5, generator=rng)
    assert torch.allclose(clean_between(clean + 8 * noise, 8.0, clean + 2 * noise, 2.0), clean, atol=1e-5)
    assert torch.equal(clean_between(clean + noise, 1.0, clean, 0.0), clean)


def test_a_look_writes_a_picture_and_changes_no_byte(tmp_path):
    source, model = clip_folder(tmp_path / "clip"), Model.loaded(str(written(tmp_path / "model")))
    request = Request.asked(source=source, prompt="a red ball", steps=4, seed=3)
    for name, more in {"short": {}, "long": {"segment": 3, "window": 3}}.items():
        plain, looked = (request.updated(target=tmp_path / f"{name}{end}.mkv", **more) for end in ("", "-looked"))
        picture = tmp_path / f"{name}.jpg"
        edit(plain, model)
        edit(looked, model, look=Glimpse(picture, model.backbone))
        assert looked.target.read_bytes() == plain.target.read_bytes()
        with Image.open(picture) as shown:
            assert shown.format == "JPEG"
            assert shown.width > shown.height >= 256
