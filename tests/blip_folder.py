"""A captioner in the published layout, of real classes with random weights."""

from pathlib import Path

import torch
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipProcessor
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil


def written(folder: Path) -> Path:
    """Writes the folder, the same one each time, and returns it."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", *"abcdefgh"]
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)}, bos_token="[DEC]")
    text = {
        "vocab_size": len(words),
        "hidden_size": 16,
        "encoder_hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "bos_token_id": 5,
        "sep_token_id": 3,
        "eos_token_id": 3,
        "pad_token_id": 0,
        "initializer_range": 1.0,
    }
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision |= {"image_size": 32, "patch_size": 16}
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = BlipForConditionalGeneration(config)
    network.save_pretrained(folder)
    BlipProcessor(BlipImageProcessorPil(size={"height": 32, "width": 32}), tokenizer).save_pretrained(folder)
    return folder
