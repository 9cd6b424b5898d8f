"""A tiny text encoder of T5's kind and its tokenizer, in a model folder as diffusers saves them."""

import json
import string

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

SPECIAL = ("<pad>", "</s>", "<unk>")
PIECES = (*SPECIAL, "\u2581", *string.ascii_lowercase)
"""The vocabulary: what is special, a word's beginning, and letters."""
TINY = {"vocab_size": len(PIECES), "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
TINY |= {"initializer_factor": 4.0}


def write_t5(path, network):
    """Writes text_encoder and tokenizer. network: T5EncoderModel or UMT5EncoderModel, of TINY."""
    network.save_pretrained(path / "text_encoder")
    fast = Tokenizer(models.Unigram([(piece, -float(place)) for place, piece in enumerate(PIECES)], unk_id=2))
    fast.pre_tokenizer, fast.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    fast.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    (path / "tokenizer").mkdir(exist_ok=True)
    fast.save(str(path / "tokenizer" / "tokenizer.json"))
    names = dict(zip(("pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    config = names | {"tokenizer_class": "T5Tokenizer", "model_max_length": 512, "extra_ids": 0}
    (path / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(config))
