"""A preset being followed: what goes into it, its folder, and the weights that it comes to."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from recast.data.datasets import shape_of
from recast.data.folders import opened
from recast.engine.config import Loss
from recast.engine.distributed import SINGLE, Engine
from recast.engine.loop import fit
from recast.engine.monitor import Monitor, SampleDrawer, unmonitored
from recast.model.folder import ModelFolder
from recast.model.metadata import ModelMetadata
from recast.training import export, samples
from recast.training.cost import step_flops
from recast.training.preset import Preset
from recast.training.stages import GeneratorStage, Inputs

RESULT = "weights.safetensors"
SEED = 20


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A preset with its inputs. folder: of its checkpoints; network: that it goes on from, None for the stage's own."""

    preset: Preset
    inputs: Inputs
    folder: Path
    network: nn.Module | None = None

    @cached_property
    def loss(self) -> Loss[Any]:
        """What the network learns from. Raises RequestError where the inputs do not suffice."""
        return self.preset.stage.loss(self.inputs)

    def initial_network(self) -> Any:  # noqa: ANN401 -- each stage has its own
        """The network at step 0, the same each time."""
        if self.network is not None:
            return self.network
        with torch.random.fork_rng(devices=[]):  # modules draw their first weights from the global stream
            torch.manual_seed(SEED)
            return self.preset.stage.network(self.inputs)

    def flops(self, processes: int = 1) -> float:
        """Of a mean step on one of so many processes, as `step_flops` counts them."""
        return step_flops(self.preset.stage, self.initial_network(), self.inputs, processes)

    def samples(self) -> SampleDrawer | None:
        """What a generator makes of a few examples, where an autoencoder is at hand to show it."""
        vae = self.inputs.autoencoder()
        if vae is None or not isinstance(self.preset.stage, GeneratorStage):
            return None
        return samples.drawn(self.inputs.examples(), self.preset.stage, vae)

    def configuration(self) -> dict[str, object]:
        """What the weights depend on besides the recipe, as JSON; where memory is saved does not count."""
        stage = {name: value for name, value in asdict(self.preset.stage).items() if name != "checkpointing"}
        rows = [len(source) for source in self.inputs.sources] + [len(pool) for pool in self.inputs.pools]
        return json.loads(json.dumps({"stage": stage, "rows": rows}))


def open_run(_name: str, preset: Preset, run: Path, *, data: Sequence[Path], start: str | None) -> TrainingRun:
    """A preset, perhaps with other numbers, ready to be followed in a folder. Raises RequestError, WeightsError."""
    sources, pools = opened(data)
    model = None if start is None else ModelFolder.found(start)
    return TrainingRun(preset, Inputs(sources, pools, model, run / "tokenizer"), run)


def train(course: TrainingRun, *, engine: Engine = SINGLE, watch: Monitor = unmonitored) -> Any:  # noqa: ANN401
    """The network, trained to the end of its recipe, from where the folder's checkpoint stands; in evaluation mode.

    Its averaged weights are left in the folder as safetensors. Raises what `fit` does.
    """
    network = fit(
        course.initial_network(),
        course.loss,
        course.preset.config,
        course.folder,
        configuration=course.configuration(),
        engine=engine,
        monitor=watch,
        samples=None if watch is unmonitored else course.samples(),
    )
    if engine.first:
        part = course.folder / f"{RESULT}.part"
        save_file({name: weight.cpu().contiguous() for name, weight in network.state_dict().items()}, part)
        part.rename(course.folder / RESULT)
    return network


def result(course: TrainingRun) -> Any:  # noqa: ANN401
    """The network as training left it, read where it is done, else trained to the end; in evaluation mode."""
    if not (course.folder / RESULT).exists():
        return train(course)
    network = course.initial_network()
    network.load_state_dict(load_file(course.folder / RESULT))
    return network.eval()


def publish(course: TrainingRun, network: nn.Module, run: Path) -> Path:
    """Writes run/model, a model folder with the trained network beside what it started from. Returns what was written.

    pocket's stages leave their weights to `pocket-export`, which writes all of them at once.
    """
    stage, inputs = course.preset.stage, course.inputs
    if course.folder != run:
        return course.folder / RESULT
    levels, facts = None, None
    if isinstance(stage, GeneratorStage):
        levels = stage.levels
        short_side = 8 * min(min(shape_of(source)[1:]) for source in inputs.sources if len(source))
        facts = replace(ModelMetadata() if inputs.start is None else inputs.start.metadata, short_side=short_side)
    export.publish(network, stage.component, run / "model", start=inputs.start, facts=facts, levels=levels)
    return run / "model"
