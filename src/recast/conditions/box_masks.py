"""Where in frames what words name is: boxes by Grounding DINO (arXiv:2303.05499), their masks by SAM (2304.02643)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from recast.errors import RequestError
from recast.model.folder import ModelFolder
from recast.networks.placement import placed
from recast.types import Frames

Boxes = Float[Tensor, "n 4"]
"""Left, top, right and bottom, in pixels of the frame."""
BOXES_AT_ONCE = 16
"""Masks that are drawn in one pass, each at the frame's size; bounds memory, changes no result."""


@dataclass(frozen=True, eq=False)
class BoxMasks:
    """GroundingDinoForObjectDetection and SamModel, their image processors (PIL based), and the detector's tokenizer.

    A place is as likely as the likeliest box whose mask it is in.
    """

    usual: ClassVar[float] = 0.3
    """The threshold of boxes in Grounded SAM (arXiv:2401.14159)."""

    detector: Any
    detector_processor: Any
    tokenizer: Any
    network: Any
    processor: Any
    device: torch.device

    @classmethod
    def opened(cls, folder: ModelFolder, device: torch.device) -> "BoxMasks":
        """The detector and the segmenter of a model folder. Raises WeightsError for a missing or damaged one."""
        from transformers import BertTokenizer, GroundingDinoForObjectDetection, SamModel
        from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
            GroundingDinoImageProcessorPil,
        )
        from transformers.models.sam.image_processing_pil_sam import SamImageProcessorPil

        kinds = {"detector": GroundingDinoForObjectDetection, "segmenter": SamModel}
        networks = [placed(folder.network(name, kind), device) for name, kind in kinds.items()]
        return cls(
            networks[0],
            folder.part("detector", GroundingDinoImageProcessorPil),
            folder.part("tokenizer", BertTokenizer),
            networks[1],
            folder.part("segmenter", SamImageProcessorPil),
            device,
        )

    @torch.no_grad()
    def __call__(self, frames: Frames, words: Sequence[str], likely: float) -> Float[Tensor, "t 1 h w"]:
        """How likely each place shows what any of the words names, 0..1, on the CPU; frames are seen one by one.

        likely: boxes above it are drawn; where there are none, the likeliest one is, so that its likelihood is known.
        Raises RequestError for words of too many tokens.
        """
        read = self._read(words)
        found = []
        for frame in frames.cpu():
            boxes, scores = self.boxes(frame, read)
            shown = (scores > likely) | (scores == scores.max())
            found.append(self._drawn(frame, boxes[shown], scores[shown]))
        return torch.stack(found)

    def boxes(self, frame: Tensor, read: Any) -> tuple[Boxes, Float[Tensor, " n"]]:  # noqa: ANN401 -- transformers' own
        """Of a frame [3 h w], every box that the detector answers, and how likely it shows any of the words."""
        given = self._processed(self.detector_processor, frame)
        answer = self.detector(**given, **read)
        scores = answer.logits.float().sigmoid().amax(-1)[0]
        (x, y), (width, height) = answer.pred_boxes[0].float().T.split(2)
        corners = torch.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], dim=1)
        rows, columns = frame.shape[-2:]
        return corners * corners.new_tensor([columns, rows, columns, rows]), scores

    def _drawn(self, frame: Tensor, boxes: Boxes, scores: Float[Tensor, " n"]) -> Float[Tensor, "1 h w"]:
        given = self._processed(self.processor, frame)
        seen, own = (given.pop(name) for name in ("reshaped_input_sizes", "original_sizes"))
        # Boxes are in pixels of the picture as the network sees it.
        scaled = boxes * (seen / own)[0].flip(0).repeat(2).to(boxes)
        embedded, highest = self.network.get_image_embeddings(given["pixel_values"]), torch.zeros(frame.shape[-2:])
        for part, likely in zip(scaled.split(BOXES_AT_ONCE), scores.split(BOXES_AT_ONCE), strict=True):
            answer = self.network(image_embeddings=embedded, input_boxes=part[None], multimask_output=False)
            [masks] = self.processor.post_process_masks(answer.pred_masks.cpu(), own.cpu(), seen.cpu())
            each = rearrange(likely.cpu(), "n -> n 1 1") * masks[:, 0]
            highest = torch.maximum(highest, each.amax(0))
        return highest[None]

    def _processed(self, processor: Any, frame: Tensor) -> dict[str, Tensor]:  # noqa: ANN401 -- transformers' own
        read = processor([frame.numpy()], input_data_format="channels_first")
        return {name: torch.from_numpy(np.stack(each)).to(self.device) for name, each in read.items()}

    def _read(self, words: Sequence[str]) -> dict[str, Tensor]:
        """All words in one prompt, each ended by a full stop, as the detector was trained."""
        prompt = " ".join(f"{text.strip().rstrip('.').lower()}." for text in words)
        read = self.tokenizer(prompt, return_token_type_ids=True, return_tensors="pt")
        count, most = read["input_ids"].shape[1], int(self.detector.config.max_text_len)
        if count > most:
            raise RequestError(f"the words come to {count} tokens and the detector reads {most}; name fewer things")
        return {name: tensor.to(self.device) for name, tensor in read.items()}
