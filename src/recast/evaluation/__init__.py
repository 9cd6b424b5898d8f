"""Evaluation of edits: every metric by name, with its unit and direction.

recast evaluate --worlds            edits of worlds with unseen seeds, judged by a network of its own
recast evaluate --footage DIR       autoencoder and depth on real clips
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A measure. unit: behind the number, empty for a plain one. share: of edits that are right, else a mean."""

    about: str
    unit: Literal["%", "dB", "1e-3", ""]
    better: Literal["higher", "lower"]
    share: bool = False


METRICS: dict[str, Metric] = {
    "environment": Metric("the judge recognises the environment of the prompt", "%", "higher", share=True),
    "look": Metric("the judge recognises the look of the prompt", "%", "higher", share=True),
    "colour": Metric("the judge recognises the subject's colour of the prompt", "%", "higher", share=True),
    "joint": Metric(
        "all content right, the outline kept and the clip steady; see metrics/joint.py", "%", "higher", share=True
    ),
    "outline": Metric("overlap (IoU) of the subject that the judge sees with the source's true mask", "", "higher"),
    "frames": Metric("frame consistency: cosine of neighbouring frames as the judge encodes them", "", "higher"),
    "pixels": Metric("cosine of neighbouring frames' pixels, each frame less its mean colour", "", "higher"),
    "warp": Metric("squared error, 0..1, of the next frame brought back along the source's true flow", "1e-3", "lower"),
    "surface": Metric("the same, of edits to looks whose marks move with the surfaces", "1e-3", "lower"),
    "prompt": Metric(
        "prompt consistency: cosine of the target words' embedding with the frames', in the model's own CLIP pair",
        "",
        "higher",
    ),
    "sharpness": Metric(
        "mean gradient of luma, 0..255 a pixel; best where it equals the reference render's", "", "higher"
    ),
    "distance": Metric("mean absolute difference, 0..255, to the reference render of the edit", "", "lower"),
    "unasked": Metric(
        "mean absolute difference, 0..255, to the source where nothing was to change: inside the subject where only "
        "the place changes, outside where only its colour does",
        "",
        "lower",
    ),
    "evaluations": Metric("evaluations of the network for one clip, each branch of guidance counted", "", "lower"),
    "psnr": Metric("PSNR of frames through the autoencoder and back", "dB", "higher"),
    "depth": Metric("correlation of seen and true inverse depth, over the clip", "", "higher"),
    "nearer": Metric(
        "AUC: pixels of the masked subject against those of a band around it, down to its feet, seen nearer",
        "",
        "higher",
    ),
    "nearest": Metric("AUC: the same against all the rest of the frame", "", "higher"),
}
"""Every measure by name."""
