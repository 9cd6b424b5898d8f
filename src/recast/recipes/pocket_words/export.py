"""`pocket-words` as it ships: a folder in the layout of Stable Diffusion 2-depth, in fp16, with its facts and card."""

import json
import shutil
from pathlib import Path

from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddim import DDIMScheduler

from recast.files import disk_told, whole_folder
from recast.model.folder import ModelFolder
from recast.model.metadata import ModelMetadata
from recast.recipes.pocket.networks import POCKET_LEVELS
from recast.training import export

CARD = Path(__file__).with_name("card.md")
FACTS = ModelMetadata(
    short_side=192,
    trained_side=128,
    fps=10.0,
    cfg_scale=3.0,
    steps=12,
    method="flowedit",
    depth_unit="inverse",
    known_words="words.txt",
)
SHARED = ("vae", "text_encoder", "tokenizer", "depth_estimator")
"""The components that are the base's own."""


def write(folder: Path, unet: UNet2DConditionModel, base: ModelFolder) -> None:
    """Writes the model folder atomically; what stood in its place before is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    with disk_told(folder), whole_folder(folder) as part:
        for name in SHARED:
            shutil.copytree(base.component(name), part / name)
        unet.register_to_config(sample_size=FACTS.short_side // 8)
        unet.half().save_pretrained(part / "unet", safe_serialization=True)
        DDIMScheduler(**POCKET_LEVELS).save_pretrained(part / "scheduler")
        export.write_facts(part, FACTS)
        known = {name: export.CLASSES[name] for name in (*SHARED, "unet", "scheduler")}
        index = {"_class_name": "StableDiffusionDepth2ImgPipeline", **known}
        (part / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")
        shutil.copy(base.path / "words.txt", part / "words.txt")
        shutil.copy(CARD, part / "README.md")
