"""Networks by name that edit nothing by themselves: tiny decoders, and what sees masks and poses in a clip."""

from recast.model.spec_parts import APACHE, ModelSpec, SpecFile, SpecPart, network_files
from recast.model.stable_diffusion_parts import CLIP_FILES

_BERT_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def _tiny_decoder(repo: str, of: str) -> ModelSpec:
    about = f"TAESD: pictures of the latents of {of} in little time, not quite its own; for --decoder tiny"
    part = SpecPart((f"madebyollin/{repo}",), "MIT", network_files("tiny_vae"))
    return ModelSpec(about, "AutoencoderTiny", 0.01, (part,))


def _flat(into: str) -> tuple[SpecFile, ...]:
    """A network of transformers with its image processor, which have a repository to themselves."""
    return tuple(SpecFile(into, (name,)) for name in ("config.json", "preprocessor_config.json", "model.safetensors"))


BESIDE_SPECS: dict[str, ModelSpec] = {
    "taesd": _tiny_decoder("taesd", "Stable Diffusion 1 and 2, and what has their autoencoder"),
    "taesdxl": _tiny_decoder("taesdxl", "Stable Diffusion XL"),
    "clipseg": ModelSpec(
        "CLIPSeg: where in a clip what words name is; for recast mask --words, not for edits",
        "CLIPSeg",
        0.6,
        (
            SpecPart(
                ("CIDAS/clipseg-rd64-refined", "CIDAS/clipseg-rd64"),
                APACHE,
                (*_flat("segmenter"), *(SpecFile("tokenizer", (name,)) for name in CLIP_FILES)),
            ),
        ),
    ),
    "grounded-sam": ModelSpec(
        "Grounding DINO and SAM: where in a clip what words name is, outlined; for recast mask --words, not for edits",
        "GroundedSAM",
        1.1,
        (
            SpecPart(
                ("IDEA-Research/grounding-dino-tiny", "IDEA-Research/grounding-dino-base"),
                APACHE,
                (*_flat("detector"), *(SpecFile("tokenizer", (name,)) for name in _BERT_FILES)),
            ),
            SpecPart(("facebook/sam-vit-base", "facebook/sam-vit-large"), APACHE, _flat("segmenter")),
        ),
    ),
    "vitpose": ModelSpec(
        "ViTPose and RT-DETR: poses of people in a clip, as sticks; for --structure pose with other models",
        "VitPose",
        0.5,
        (
            SpecPart(
                ("usyd-community/vitpose-base-simple", "usyd-community/vitpose-base"), APACHE, _flat("pose_estimator")
            ),
            SpecPart(("PekingU/rtdetr_r50vd_coco_o365", "PekingU/rtdetr_r50vd"), APACHE, _flat("person_detector")),
        ),
    ),
}
"""Networks that models use besides."""
