"""Tiny RT-DETR and ViTPose, of the real classes in their published layouts, put into a folder."""

import torch
from transformers import (
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrResNetConfig,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
)
from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil
from transformers.models.vitpose.image_processing_pil_vitpose import VitPoseImageProcessorPil

from recast.model.folder import quiet

SIZE = (64, 48)
"""Rows and columns of what ViTPose sees."""


def add_pose(path, *, experts=1, points=17, classes=("person", "dog")):
    """Adds both networks to a folder and returns it."""
    resnet = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, layer_type="basic", out_indices=[2, 3, 4]
    )
    widths = {"d_model": 16, "encoder_hidden_dim": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    counts = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_layers": 2, "num_queries": 8}
    channels = {"encoder_in_channels": [8, 16, 16], "decoder_in_channels": [16] * 3, "num_denoising": 0}
    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: at for at, name in enumerate(classes)}}
    vit = {"image_size": SIZE, "patch_size": (16, 16), "hidden_size": 16, "num_hidden_layers": 1, "mlp_ratio": 2}
    backbone = VitPoseBackboneConfig(
        **vit, num_attention_heads=2, num_experts=experts, part_features=8, out_indices=[1]
    )
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(4)
        detector = RTDetrForObjectDetection(
            RTDetrConfig(backbone_config=resnet, **widths, **counts, **channels, **labels)
        )
        with torch.no_grad():  # so that many boxes show a person, and some a dog
            for head in detector.model.decoder.class_embed:
                head.weight.mul_(20)
                head.bias.copy_(torch.tensor([1.0, 0.0]))
        detector.save_pretrained(path / "person_detector")
        network = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=points))
        with torch.no_grad():
            network.head.conv.weight.mul_(20)
        network.save_pretrained(path / "pose_estimator")
    RTDetrImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(path / "person_detector")
    VitPoseImageProcessorPil(size=dict(zip(("height", "width"), SIZE, strict=True))).save_pretrained(
        path / "pose_estimator"
    )
    return path
