"""Where in frames what words name is: CLIPSeg, arXiv:2112.10003."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.conditions.text import tokenized
from recast.model.folder import ModelFolder
from recast.networks.placement import placed
from recast.types import Frames

FRAMES_AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class WordMasks:
    """CLIPSegForImageSegmentation, its image processor (PIL based) and its tokenizer.

    The network sees each frame as a square, stretched, as it was trained; what it says is stretched back.
    """

    usual: ClassVar[float] = 0.5

    network: Any
    processor: Any
    tokenizer: Any
    device: torch.device

    @classmethod
    def opened(cls, folder: ModelFolder, device: torch.device) -> "WordMasks":
        """The segmenter of a model folder. Raises WeightsError where it has none, or a damaged one."""
        from transformers import AutoImageProcessor, CLIPSegForImageSegmentation, CLIPTokenizer

        network = placed(folder.network("segmenter", CLIPSegForImageSegmentation), device)
        processor = folder.part("segmenter", AutoImageProcessor, backend="pil")
        return cls(network, processor, folder.part("tokenizer", CLIPTokenizer), device)

    @torch.no_grad()
    def __call__(self, frames: Frames, words: Sequence[str], likely: float = 0.0) -> Float[Tensor, "t 1 h w"]:  # noqa: ARG002
        """How likely each place shows what any of the words names, 0..1, on the CPU; right whatever `likely` is.

        Raises RequestError for words of too many tokens.
        """
        places = min(self.tokenizer.model_max_length, self.network.config.text_config.max_position_embeddings)
        prompts = [tokenized(self.tokenizer, text, places) for text in words]
        found = [
            torch.stack([self._likely(part, prompt) for prompt in prompts]).amax(0)
            for part in frames.split(FRAMES_AT_ONCE)
        ]
        return torch.cat(found)

    def _likely(self, frames: Frames, prompt: Any) -> Float[Tensor, "part 1 h w"]:  # noqa: ANN401 -- transformers' own
        read = self.processor(list(frames.cpu().numpy()), input_data_format="channels_first")["pixel_values"]
        pixels = torch.from_numpy(np.stack(read)).float().to(self.device)
        tokens = {
            name: prompt[name].expand(len(frames), -1).to(self.device) for name in ("input_ids", "attention_mask")
        }
        logits = self.network(pixel_values=pixels, **tokens).logits.float()
        side = logits.shape[-2:]  # of one picture it leaves the first axis out
        squares = rearrange(logits.reshape(len(frames), *side), "t y x -> t 1 y x")
        return F.interpolate(squares, frames.shape[-2:], mode="bilinear", align_corners=False).sigmoid().cpu()
