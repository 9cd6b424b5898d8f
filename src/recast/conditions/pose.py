"""Poses of people: RT-DETR finds them (arXiv:2304.08069), ViTPose their joints (arXiv:2204.12484), drawn as sticks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8

from recast.conditions.clip_scale import ClipScale, RawMap, RawMaps
from recast.conditions.extractor import Extractor
from recast.conditions.keypoints import Crop
from recast.conditions.skeletons import COCO, Points, drawn
from recast.errors import WeightsError
from recast.model.folder import ModelFolder
from recast.model.pulled import is_pulled
from recast.networks.placement import placed
from recast.types import Frames, Kind, Structure

Image = UInt8[np.ndarray, "h w 3"]
COMPONENTS = ("pose_estimator", "person_detector")
PULLED = "vitpose"
"""The model by name that has both, for model folders that have not."""
PERSON = "person"
LEAST_LIKELY = 0.5
"""How likely a box must show a person, as RT-DETR's own processor has it."""


@dataclass(frozen=True, eq=False)
class PoseExtractor(Extractor):
    """RTDetrForObjectDetection and VitPoseForPoseEstimation, each with its image processor's numbers.

    Frames are seen one by one. The crops that ViTPose sees are cut by OpenCV, as in its training; the processor of
    transformers needs SciPy to cut them.
    """

    detector: Any
    detector_processor: Any
    network: Any
    processor: Any
    device: torch.device

    @classmethod
    def opened(cls, folder: ModelFolder, device: torch.device) -> "PoseExtractor":
        """The two of a model, or those that were pulled. Raises WeightsError for none, or others."""
        from transformers import RTDetrForObjectDetection, VitPoseForPoseEstimation
        from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil
        from transformers.models.vitpose.image_processing_pil_vitpose import VitPoseImageProcessorPil

        held = _holding(folder)
        detector = placed(held.network("person_detector", RTDetrForObjectDetection), device)
        network = placed(held.network("pose_estimator", VitPoseForPoseEstimation), device)
        if PERSON not in detector.config.label2id:
            raise WeightsError(f"the person_detector has no class {PERSON!r}; take one of COCO's classes; {held.path}")
        if network.config.num_labels != len(COCO):
            wrong = f"the pose_estimator gives {network.config.num_labels} points and COCO's people have {len(COCO)}"
            raise WeightsError(f"{wrong}; take one of COCO's; {held.path}")
        processor = held.part("person_detector", RTDetrImageProcessorPil)
        return cls(detector, processor, network, held.part("pose_estimator", VitPoseImageProcessorPil), device)

    @property
    def shares(self) -> tuple[float, ...]:
        """None: sticks need no scale."""
        return ()

    def measured(self, frames: Frames, part: slice, before: RawMap | None = None) -> RawMaps:  # noqa: ARG002 -- one by one
        """The sticks of each frame, in colours of 0..1."""
        images = rearrange(frames[part].cpu(), "t c h w -> t h w c").numpy()
        pictures = np.stack([drawn(self.people(image), image.shape[:2]) for image in images])
        return rearrange(torch.from_numpy(pictures).float() / 255, "t h w c -> t c h w")

    def values(self, measured: RawMaps) -> RawMaps:
        """The sticks; nothing is taken of them."""
        return measured

    def scaled(self, measured: RawMaps, scale: ClipScale) -> Structure:  # noqa: ARG002 -- no scale
        """The sticks as they are."""
        return Structure(Kind.POSE, measured)

    @torch.no_grad()
    def people(self, image: Image) -> list[Points]:
        """The joints of each person in a picture."""
        boxes = self.boxes(image)
        if not len(boxes):
            return []
        size = self.processor.size["height"], self.processor.size["width"]
        crops = [Crop.around(box, size[1] / size[0]) for box in boxes]
        shown = np.stack([crop.cut(image, size) for crop in crops])
        mean, deviation = (np.array(each) for each in (self.processor.image_mean, self.processor.image_std))
        pixels = torch.from_numpy((shown * self.processor.rescale_factor - mean) / deviation).float()
        # Networks of several data sets (ViTPose+) were trained on COCO as the first of them.
        several = self.network.config.backbone_config.num_experts > 1
        first = torch.zeros(len(boxes), dtype=torch.long, device=self.device) if several else None
        given = rearrange(pixels, "n h w c -> n c h w").to(self.device)
        heat = self.network(pixel_values=given, dataset_index=first).heatmaps.float().cpu().numpy()
        return [crop.points(each) for crop, each in zip(crops, heat, strict=True)]

    def boxes(self, image: Image) -> Float[np.ndarray, "n 4"]:
        """Left, top, right and bottom of each person in a picture, in pixels."""
        read = self.detector_processor([image], input_data_format="channels_last")["pixel_values"]
        answer = self.detector(torch.from_numpy(np.stack(read)).float().to(self.device))
        sizes = [image.shape[:2]]
        [found] = self.detector_processor.post_process_object_detection(answer, LEAST_LIKELY, sizes)
        of_people = found["labels"] == self.detector.config.label2id[PERSON]
        return found["boxes"][of_people].cpu().double().numpy()


def _holding(folder: ModelFolder) -> ModelFolder:
    """The folder that has both networks."""
    if any(map(folder.has, COMPONENTS)):
        return folder
    if is_pulled(PULLED):
        return ModelFolder.found(PULLED)
    raise WeightsError(
        f"no network here sees poses; `recast models pull {PULLED}` brings two that do, or give sticks that you made: "
        f"--structure-from pose=FILE"
    )
