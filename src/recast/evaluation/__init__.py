"""Evaluation of edits: every metric by name, with its unit, direction and decimals.

recast evaluate --worlds                    edits of worlds with unseen seeds, judged by a network of its own
recast evaluate --footage DIR               autoencoder and depth on real clips
recast evaluate --source A --edited B       an edit of a file, whatever made it
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A measure. unit: behind the number, empty for a plain one. share: of edits that are right, else a mean.

    heading: of its column or row, its unit included. decimals: that are shown.
    """

    heading: str
    about: str
    unit: Literal["%", "dB", "1e-3", "px", ""]
    better: Literal["higher", "lower"]
    decimals: int = 2
    share: bool = False

    def text(self, value: float) -> str:
        """A value as a table shows it; the heading has the unit, but for %."""
        return self._formatted(value, "")

    def signed(self, value: float) -> str:
        """A difference of values, with its sign."""
        return self._formatted(value, "+")

    def _formatted(self, value: float, sign: str) -> str:
        kind = "%" if self.unit == "%" else "f"
        return f"{value:{sign}.{self.decimals}{kind}}".replace("%", " %")


JUDGED: dict[str, Metric] = {
    "environment": Metric(
        "environment", "the judge recognises the environment of the prompt", "%", "higher", 0, share=True
    ),
    "look": Metric("look", "the judge recognises the look of the prompt", "%", "higher", 0, share=True),
    "colour": Metric(
        "subject's colour", "the judge recognises the subject's colour of the prompt", "%", "higher", 0, share=True
    ),
    "joint": Metric(
        "joint score",
        "all content right, the outline kept and the clip steady; see metrics/joint.py",
        "%",
        "higher",
        0,
        share=True,
    ),
    "content": Metric(
        "content right",
        "share of what the prompt names that the judge recognises: environment, look, subject's colour",
        "%",
        "higher",
        0,
    ),
    "likeness": Metric(
        "likeness to the picture",
        "cosine of the frames' embeddings with that of the picture that told the content, in the model's CLIP pair",
        "",
        "higher",
        3,
    ),
    "outline": Metric(
        "outline IoU", "overlap (IoU) of the subject that the judge sees with the source's true mask", "", "higher"
    ),
    "surface": Metric(
        "warp error of surface looks, 1e-3",
        "warp error of edits to looks whose marks move with the surfaces",
        "1e-3",
        "lower",
        1,
    ),
    "sharpness": Metric(
        "sharpness",
        "mean gradient of luma, 0..255 a pixel; best where it equals the reference render's",
        "",
        "higher",
        1,
    ),
    "distance": Metric(
        "distance to the reference render, 0..255",
        "mean absolute difference, 0..255, to the reference render of the edit",
        "",
        "lower",
        1,
    ),
    "unasked": Metric(
        "change of what was to stay, 0..255",
        "mean absolute difference, 0..255, to the source where nothing was to change: inside the subject where only "
        "the place changes, outside where only its colour does",
        "",
        "lower",
        1,
    ),
    "evaluations": Metric(
        "network evaluations",
        "evaluations of the network for one clip, each branch of guidance counted",
        "",
        "lower",
        0,
    ),
    "psnr": Metric(
        "autoencoder PSNR at 128 px, dB", "PSNR of frames through the autoencoder and back", "dB", "higher", 1
    ),
    "depth": Metric("depth correlation", "correlation of seen and true inverse depth, over the clip", "", "higher"),
    "nearer": Metric(
        "depth AUC, subject against its surroundings",
        "AUC: pixels of the masked subject against those of a band around it, down to its feet, seen nearer",
        "",
        "higher",
    ),
    "nearest": Metric(
        "depth AUC, subject against all else", "AUC: the same against all the rest of the frame", "", "higher"
    ),
}
"""Of edits of worlds, whose truth is known, and of a model's parts."""
CLIP: dict[str, Metric] = {
    "frames": Metric(
        "frame consistency", "cosine of neighbouring frames, as the named network encodes them", "", "higher", 3
    ),
    "frame_pairs": Metric("frame consistency, all pairs", "the same of every two frames", "", "higher", 3),
    "pixels": Metric(
        "pixel consistency", "cosine of neighbouring frames' pixels, each frame less its mean colour", "", "higher", 3
    ),
    "flicker": Metric(
        "flicker, 0..255",
        "mean absolute difference, 0..255, of neighbouring frames; motion counts too, so read it beside the source's",
        "",
        "lower",
    ),
    "warp": Metric(
        "warp error, 1e-3",
        "squared error, 0..1, of the next frame brought back along the source's flow: the true one, else DIS's",
        "1e-3",
        "lower",
        1,
    ),
    "prompt": Metric(
        "prompt consistency",
        "cosine of the target words' embedding with the frames', in the named CLIP pair",
        "",
        "higher",
        3,
    ),
}
"""Of any one clip."""
PAIRED: dict[str, Metric] = {
    "frame_accuracy": Metric(
        "frame accuracy",
        "share of frames that fit the target's words at least as well as the source's",
        "%",
        "higher",
        0,
    ),
    "direction": Metric(
        "directional similarity",
        "directional CLIP: cosine of the change of frames, source to edit, with the change of words",
        "",
        "higher",
        3,
    ),
    "motion": Metric(
        "motion error, px", "mean end-point error between the flows (DIS) of source and edit", "px", "lower"
    ),
    "depth_agreement": Metric(
        "depth agreement",
        "correlation of the inverse depths of source and edit, estimated by the named network",
        "",
        "higher",
    ),
    "edge_agreement": Metric(
        "edge agreement",
        "F measure of the edit's edges against the source's, within .8 % of the diagonal",
        "",
        "higher",
    ),
    "structure": Metric(
        "structure distance, 1e-3",
        "squared difference of the self-similarities of the named network's features in source and edit",
        "1e-3",
        "lower",
        1,
    ),
    "kept_psnr": Metric("PSNR of what was to stay, dB", "against the source, outside of the mask", "dB", "higher", 1),
    "kept_ssim": Metric("SSIM of what was to stay", "against the source, outside of the mask", "", "higher", 3),
    "kept_de76": Metric(
        "colour drift of what was to stay, dE76", "mean CIE 1976 difference to the source in Lab", "", "lower"
    ),
    "kept_de2000": Metric(
        "colour drift of what was to stay, dE2000", "mean CIEDE2000 difference to the source in Lab", "", "lower"
    ),
}
"""Of an edit beside its source."""
SETS: dict[str, Metric] = {
    "frechet": Metric(
        "Frechet distance",
        "of given features of two sets: FID of Inception's of frames, FVD of I3D's of clips",
        "",
        "lower",
    ),
    "kernel": Metric(
        "kernel distance, 1e-3",
        "polynomial MMD of given features of two sets: KID of Inception's of frames, KVD of I3D's of clips",
        "1e-3",
        "lower",
    ),
}
"""Of two sets of features, as published evaluations of generators have them."""

CROSSING: dict[str, Metric] = {
    "found": Metric(
        "subjects found", "the judge reads a visible subject's asked colour under its true outline", "%", "higher", 0
    ),
    "counted": Metric("frames with all subjects", "all visible subjects of a frame are found", "%", "higher", 0),
    "swapped": Metric(
        "subjects swapped", "a visible subject has the colour that was asked of another one", "%", "lower", 0
    ),
    "identity": Metric(
        "identity through occlusion", "a subject has its asked colour before and after it was hidden", "%", "higher", 0
    ),
}
"""Of scenes of several subjects that hide each other."""
CUSTOMIZED: dict[str, Metric] = {
    "likeness": Metric(
        "likeness to the pictures",
        "mean cosine of the subject, cut out along its true outline, with the subject of each picture, in a CLIP pair",
        "",
        "higher",
        3,
    ),
}
"""Of edits that show a subject learned from pictures."""

METRICS: dict[str, Metric] = JUDGED | CLIP | PAIRED | SETS | CROSSING | CUSTOMIZED
"""Every measure by name."""
