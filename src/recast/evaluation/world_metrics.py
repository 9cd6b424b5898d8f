"""Measures of edits of worlds, whose truth is known, by name."""

from recast.evaluation.metric import Metric

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
    "subject_likeness": Metric(
        "likeness to the pictures",
        "mean cosine of the subject, cut out along its true outline, with the subject of each picture, in a CLIP pair",
        "",
        "higher",
        3,
    ),
}
"""Of edits that show a subject learned from pictures."""
