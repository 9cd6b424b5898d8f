"""Trains the tokenizer: byte-pair encoding of captions, in the file format of CLIP's tokenizer."""

import json
import string
from collections.abc import Iterable, Sequence
from pathlib import Path

from jaxtyping import Int
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
PLACES = 32
NUM_PIECES = 900
SHIPPED = Path(__file__).parents[1] / "assets" / "pocket" / "tokenizer"
"""The tokenizer of the model that ships."""


def write_tokenizer(
    captions: Iterable[str], folder: Path, *, places: int = PLACES, pieces: int = NUM_PIECES
) -> CLIPTokenizer:
    """Trains a vocabulary of `pieces` tokens on captions and writes the tokenizer's files.

    Every letter, digit and punctuation mark is a token too, so that any lower-case English text can be encoded.
    """
    learner = Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()])
    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    trainer = trainers.BpeTrainer(
        vocab_size=pieces, initial_alphabet=letters, end_of_word_suffix=WORD_END, show_progress=False
    )
    learner.train_from_iterator(captions, trainer)
    learned = json.loads(learner.to_str())["model"]
    known = dict.fromkeys([*letters, *(letter + WORD_END for letter in letters), *learned["vocab"], START, END])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(known)}))
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in learned["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    names = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": places, "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(names | config, indent=1))
    return CLIPTokenizer.from_pretrained(folder)


def token_ids(tokenizer: CLIPTokenizer, captions: Sequence[str]) -> Int[Tensor, "n m"]:
    """Captions as token ids, padded to the tokenizer's length."""
    places = tokenizer.model_max_length
    return tokenizer(list(captions), padding="max_length", truncation=True, max_length=places, return_tensors="pt")[
        "input_ids"
    ]
