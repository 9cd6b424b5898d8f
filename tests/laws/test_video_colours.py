"""Colours are what the file's tags, or its size, say; and they survive being written."""

import av
import numpy as np
import pytest
import torch
from video_files import SourceSpec, made

from recast.video.read import Window, frames, opened
from recast.video.write import writing


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "avi"])
@pytest.mark.parametrize("size", [(360, 640), (720, 1280)])
def test_flat_colours_survive(tmp_path, ending, size):
    colours = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    image = np.kron(colours, np.ones((size[0] // 3, size[1] // 4, 1), np.uint8))
    source = opened(made(tmp_path / "in.mp4", SourceSpec(size=size, times=(0,))))
    with writing(tmp_path / f"out.{ending}", source, Window(), record=None) as writer:
        writer.add(torch.from_numpy(image).permute(2, 0, 1), next(frames(source, Window())))
    back = next(frames(opened(tmp_path / f"out.{ending}"), Window())).pixels
    middles = back[:, size[0] // 6 :: size[0] // 3, size[1] // 8 :: size[1] // 4]
    assert np.abs(middles.permute(1, 2, 0).numpy().astype(int) - colours).max() <= 3


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("full", [False, True])
def test_tagged_colours_are_converted_by_their_tags(tmp_path, matrix, full):
    colour = np.array([200, 40, 90])
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}[matrix]
    luma = np.array([kr, 1 - kr - kb, kb]) @ colour / 255
    blue, red = (colour[2] / 255 - luma) / (2 - 2 * kb), (colour[0] / 255 - luma) / (2 - 2 * kr)
    scale, offset, chroma = (255, 0, 255) if full else (219, 16, 224)
    values = np.round([offset + scale * luma, 128 + chroma * blue, 128 + chroma * red]).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.tile(values[:, None, None], (1, 32, 32)), format="yuv444p")
    tags = {"qp": "0", "colorspace": str(matrix), "color_range": "pc" if full else "tv"}
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=tags)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv444p"
        container.mux([*stream.encode(frame), *stream.encode(None)])
    pixel = next(frames(opened(tmp_path / "in.mp4"), Window())).pixels[:, 16, 16].numpy()
    assert np.abs(pixel.astype(int) - colour).max() <= 2
