"""A tiny folder of Grounding DINO and SAM, of the real classes in their published layouts."""

import json

import torch
from transformers import (
    BertConfig,
    BertTokenizer,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    SamConfig,
    SamModel,
    SwinConfig,
)
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil
from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

from recast.model.folder import quiet

SIDE = 64
"""Of the pictures that SAM sees."""
MARKS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
"""Where BERT's vocabulary has them; the detector knows its full stops by number."""
WORDS = ("a", "ball", "dog", "red", "sky", "the")


def write_grounded_sam(path):
    """Writes the folder and returns it."""
    named = MARKS | {word: 1030 + number for number, word in enumerate(WORDS)}
    at = {number: word for word, number in named.items()}
    vocabulary = {at.get(number, f"[unused{number}]"): number for number in range(1030 + len(WORDS))}
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)
        GroundingDinoForObjectDetection(detector_config(len(vocabulary))).save_pretrained(path / "detector")
        SamModel(segmenter_config()).save_pretrained(path / "segmenter")
        BertTokenizer(vocab=vocabulary).save_pretrained(path / "tokenizer")
    GroundingDinoImageProcessorPil(size={"shortest_edge": 48, "longest_edge": 80}).save_pretrained(path / "detector")
    square = {"height": SIDE, "width": SIDE}
    SamImageProcessorPil(size={"longest_edge": SIDE}, pad_size=square).save_pretrained(path / "segmenter")
    (path / "model_index.json").write_text(json.dumps({"_class_name": "GroundedSAM"}))
    return path


def detector_config(words):
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "num_queries": 12, "num_feature_levels": 3}
    sizes |= {f"{part}_{of}": each for part in ("encoder", "decoder") for of, each in WIDTHS.items()}
    swin = {"image_size": 48, "embed_dim": 8, "depths": [1, 1, 1], "num_heads": [1, 1, 2], "window_size": 3}
    bert = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return GroundingDinoConfig(
        backbone_config=SwinConfig(**swin, out_indices=[1, 2, 3]),
        text_config=BertConfig(**bert, vocab_size=words, max_position_embeddings=64),
        max_text_len=48,
        **sizes,
    )


WIDTHS = {"ffn_dim": 16, "attention_heads": 2, "n_points": 2}


def segmenter_config():
    width = {"hidden_size": 16, "image_size": SIDE, "patch_size": 8}
    vision = {**width, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "window_size": 2}
    heads = {"mlp_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "iou_head_hidden_dim": 8}
    return SamConfig(
        vision_config={**vision, "global_attn_indexes": [1], "num_pos_feats": 8, "initializer_range": 0.2},
        prompt_encoder_config={**width, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 16, **heads},
    )
