"""Evaluation of edits: every metric by name, with its unit, direction and decimals.

recast evaluate --worlds                    edits of worlds with unseen seeds, judged by a network of its own
recast evaluate --footage DIR               autoencoder and depth on real clips
recast evaluate --source A --edited B       an edit of a file, whatever made it
"""

from recast.evaluation.metric import Metric
from recast.evaluation.world_metrics import CROSSING, CUSTOMIZED, JUDGED

__all__ = ["ASKED", "CLIP", "CROSSING", "CUSTOMIZED", "JUDGED", "METRICS", "PAIRED", "SETS", "Metric"]

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
    "sharpness": Metric(
        "sharpness",
        "mean gradient of luma, 0..255 a pixel; best where it equals the reference render's, if there is one",
        "",
        "higher",
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
ASKED: dict[str, Metric] = {
    "asked": Metric(
        "yes to the prompt, no to the source's",
        "the named vision-language model says that the frames show what was asked for, and no longer what the source "
        "shows (FiVE's yes/no questions)",
        "%",
        "higher",
        0,
        share=True,
    ),
    "picked": Metric(
        "prompt picked before the source's",
        "the named vision-language model says that the frames show the target's words rather than the source's (FiVE's "
        "multiple choice)",
        "%",
        "higher",
        0,
        share=True,
    ),
    "pick": Metric(
        "PickScore", "cosine of words and frames in the named preference model, times its own scale", "", "higher"
    ),
}
"""Of an edit, by a model that is named for it: a vision-language model that is asked, or one of preferences."""
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
    "kept_lpips": Metric(
        "LPIPS of what was to stay", "to the source, all else black in both, by the named network", "", "lower", 3
    ),
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
    "inception": Metric(
        "inception score",
        "exp of the mean KL of the classes of each from those of all, by the named classifier: the video IS where it "
        "looks at clips, IS where at frames",
        "",
        "higher",
    ),
}
"""Of two sets of features, as published evaluations of generators have them."""

METRICS: dict[str, Metric] = JUDGED | CLIP | ASKED | PAIRED | SETS | CROSSING | CUSTOMIZED
"""Every measure by name."""
