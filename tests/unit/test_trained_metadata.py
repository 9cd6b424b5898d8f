"""What a model folder says of its training: what the stage was, and nothing of an earlier one that no longer holds."""

from dataclasses import replace

from recast.model.folder import ModelFolder
from recast.model.metadata import ModelMetadata
from recast.recipes import PRESETS
from recast.recipes.pocket.export import FACTS
from recast.training.run import trained_metadata

START = ModelMetadata(short_side=192, trained_side=128, frames=4, fps=10.0, window=16, cfg_scale=1.5)


def test_a_training_on_clips_says_their_length_and_drops_what_was_said_of_others():
    stage = PRESETS["gen1-joint"].stage
    facts = trained_metadata(START, stage, 256)
    assert facts == replace(
        START, short_side=256, trained_side=None, frames=stage.batches.frames, fps=None, window=None
    )
    assert facts.frames == 8


def test_a_training_on_images_leaves_what_was_learned_of_clips():
    facts = trained_metadata(START, PRESETS["gen1-images"].stage, 320)
    assert facts == replace(START, short_side=320, trained_side=None)


def test_pocket_ships_with_the_metadata_that_its_export_writes():
    assert ModelFolder.found("pocket").metadata == FACTS
    assert (FACTS.trained_side, FACTS.frames, FACTS.fps) == (128, 8, 10.0)
