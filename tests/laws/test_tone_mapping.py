"""HDR to standard range: PQ and HLG by their closed forms, and BT.2390's curve: the identity below its knee."""

import av
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from recast.editing.checks import treated
from recast.editing.request import Request
from recast.video.colour import TONE_MAPPED
from recast.video.read import Window, frames, opened
from recast.video.tone_mapping import (
    PEAK,
    REFERENCE_WHITE,
    TO_709,
    hlg_scene,
    pq_light,
    pq_signal,
    rolled_off,
    standard,
)


def test_pq_and_hlg_are_as_published():
    # ITU-R BT.2408, table 1: PQ and HLG signals of reference white, and of a display's peak.
    assert_allclose(pq_signal(np.array([100.0, 203.0, 1000.0, 10_000.0])), [0.508, 0.581, 0.752, 1.0], atol=5e-4)
    light = np.geomspace(1e-3, 1e4, 50)
    assert_allclose(pq_light(pq_signal(light)), light, rtol=1e-9)
    assert_allclose(
        PEAK * hlg_scene(np.array([0.0, 0.5, 0.75, 1.0])) ** 1.2, [0, 50.7, 203, 1000], rtol=2e-3, atol=1e-9
    )


def test_the_curve_leaves_dark_light_and_ends_at_white():
    knee = 1.5 * pq_signal(np.array(REFERENCE_WHITE)) - 0.5 * pq_signal(np.array(PEAK))
    dark = np.linspace(0, float(pq_light(np.array(knee))), 20)
    assert_allclose(rolled_off(dark), dark, rtol=1e-6, atol=1e-6)
    light = rolled_off(np.geomspace(0.01, PEAK, 500))
    assert (np.diff(light) > 0).all()
    assert_allclose(rolled_off(np.array([PEAK, 4 * PEAK])), REFERENCE_WHITE, rtol=1e-6)


@pytest.mark.parametrize("hlg", [False, True])
def test_greys_stay_grey_and_colours_of_bt709_come_back(hlg):
    codes = np.linspace(0, 65535, 200).astype(np.uint16)
    greys = standard(np.repeat(codes[:, None, None], 3, axis=-1), hlg=hlg).astype(int)
    assert np.ptp(greys, axis=-1).max() <= 1
    assert (np.diff(greys[:, 0, 0]) >= 0).all()
    assert greys[0].max() == 0
    assert greys[-1].min() == 255
    dim = 20 * np.linalg.inv(TO_709.astype(float)).T  # rows: red, green and blue of BT.709, in light of BT.2020
    scene = dim / PEAK * (dim @ [0.2627, 0.6780, 0.0593] / PEAK)[:, None] ** (1 / 1.2 - 1)
    signal = (3 * scene) ** 0.5 if hlg else pq_signal(dim)
    shown = standard(np.round(65535 * signal[None]).astype(np.uint16), hlg=hlg)[0]
    linear = 20 / REFERENCE_WHITE
    assert_allclose(shown, np.eye(3) * 255 * (1.055 * linear ** (1 / 2.4) - 0.055), atol=2)


def test_a_source_is_tone_mapped_by_choice(tmp_path):
    value = round(float(pq_signal(np.array(203.0))) * 876 + 64)  # limited range, 10 bits
    planes = np.stack([np.full((48, 64), value), np.full((48, 64), 512), np.full((48, 64), 512)]).astype(np.uint16)
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        options = {"qp": "0", "color_primaries": "9", "color_trc": "16", "colorspace": "9"}
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv444p10le"
        deep = np.ascontiguousarray(np.moveaxis(planes << 6, 0, -1))
        frame = av.VideoFrame.from_ndarray(deep, format="yuv444p16le").reformat(format="yuv444p10le")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    source = treated(opened(tmp_path / "in.mp4"), Request.asked(hdr="tonemap"))
    assert TONE_MAPPED in source.notes
    (shown,) = frames(source, Window())
    linear = float(rolled_off(np.array(203.0))) / REFERENCE_WHITE
    wanted = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert (shown.pixels.float() - wanted).abs().max() <= 2
    plain = opened(tmp_path / "in.mp4")
    assert treated(plain, Request.asked()) is plain
    assert not torch.equal(next(frames(plain, Window())).pixels, shown.pixels)
