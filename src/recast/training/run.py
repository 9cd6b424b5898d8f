"""Runs of presets: inputs, run folder, and the resulting weights."""

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
from recast.files import disk_told, whole_file
from recast.model.folder import ModelFolder
from recast.model.metadata import ModelMetadata
from recast.training import export, samples
from recast.training.cost import step_flops
from recast.training.distilled_stage import DistilledStage
from recast.training.preset import Preset
from recast.training.stages import GeneratorStage, Inputs

RESULT = "weights.safetensors"
SEED = 20


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A preset with its inputs. folder: of checkpoints. network: to start from, None for the stage's own."""

    preset: Preset
    inputs: Inputs
    folder: Path
    network: nn.Module | None = None

    @cached_property
    def loss(self) -> Loss[Any]:
        """The stage's loss. Raises RequestError where an input is missing."""
        return self.preset.stage.loss(self.inputs)

    def initial_network(self) -> Any:  # noqa: ANN401 -- each stage has its own
        """The network at step 0, deterministic."""
        if self.network is not None:
            return self.network
        with torch.random.fork_rng(devices=[]):  # modules initialise their weights from the global generator
            torch.manual_seed(SEED)
            return self.preset.stage.network(self.inputs)

    def flops(self, processes: int = 1) -> float:
        """Expected FLOPs of a step on one of `processes` processes, by `step_flops`."""
        return step_flops(self.preset.stage, self.initial_network(), self.inputs, processes)

    def samples(self) -> SampleDrawer | None:
        """Samples of a generator for a few examples; None without an autoencoder to decode them."""
        vae = self.inputs.autoencoder()
        if vae is None or not isinstance(self.preset.stage, GeneratorStage):
            return None
        return samples.drawn(self.inputs.examples(), self.preset.stage, vae)

    def configuration(self) -> dict[str, object]:
        """What the weights depend on besides the train config, as JSON; gradient checkpointing is not part of it."""
        stage = {name: value for name, value in asdict(self.preset.stage).items() if name != "checkpointing"}
        rows = [len(source) for source in self.inputs.sources] + [len(pool) for pool in self.inputs.pools]
        return json.loads(json.dumps({"stage": stage, "rows": rows}))


def open_run(_name: str, preset: Preset, run: Path, *, data: Sequence[Path], start: str | None) -> TrainingRun:
    """A preset, perhaps with changed settings, ready to run in a folder. Raises RequestError, WeightsError."""
    sources, pools = opened(data)
    model = None if start is None else ModelFolder.found(start)
    return TrainingRun(preset, Inputs(sources, pools, model, run / "tokenizer"), run)


def train(run: TrainingRun, *, engine: Engine = SINGLE, monitor: Monitor = unmonitored) -> Any:  # noqa: ANN401
    """Trains to the last step, resuming from the folder's newest checkpoint; returns the network in evaluation mode.

    Writes its EMA weights into the folder as safetensors. Raises what `fit` does.
    """
    network = fit(
        run.initial_network(),
        run.loss,
        run.preset.config,
        run.folder,
        configuration=run.configuration(),
        engine=engine,
        monitor=monitor,
        samples=None if monitor is unmonitored else run.samples(),
    )
    if engine.first:
        target = run.folder / RESULT
        with disk_told(target), whole_file(target) as part:
            save_file({name: weight.cpu().contiguous() for name, weight in network.state_dict().items()}, part)
    return network


def result(run: TrainingRun) -> Any:  # noqa: ANN401
    """The trained network in evaluation mode; loaded where training is done, else trained now."""
    if not (run.folder / RESULT).exists():
        return train(run)
    network = run.initial_network()
    network.load_state_dict(load_file(run.folder / RESULT))
    return network.eval()


def trained_metadata(start: ModelMetadata, stage: GeneratorStage, short_side: int) -> ModelMetadata:
    """The start's metadata with the sizes of this training; one on images alone leaves what was learned of clips."""
    optional = start.structure_optional or stage.batches.structure_drop_prob > 0
    facts = replace(start, short_side=short_side, trained_side=None, structure_optional=optional)
    if isinstance(stage, DistilledStage):  # what was distilled is not asked for again
        methods = {
            name: {each: min(value, 1.0) if each in ("cfg", "ensemble") else value for each, value in usual.items()}
            for name, usual in facts.method_defaults.items()
        }
        steps = min(facts.steps, stage.wanted.sampling_steps)
        facts = replace(facts, cfg_scale=1.0, ensemble=1, steps=steps, method_defaults=methods)
    if not (stage.motion and stage.batches.clips):
        return facts
    return replace(facts, frames=stage.batches.frames, fps=None, window=None)


def publish(training_run: TrainingRun, network: nn.Module, run: Path) -> Path:
    """Writes run/model, a model folder with the trained network and the components it started from; returns its path.

    For pocket's stages it only returns the path of the weights: `pocket-export` writes the model folder of all.
    """
    stage, inputs = training_run.preset.stage, training_run.inputs
    if training_run.folder != run:
        return training_run.folder / RESULT
    levels, facts = None, None
    if isinstance(stage, GeneratorStage):
        levels = stage.levels
        short_side = 8 * min(min(shape_of(source)[1:]) for source in inputs.sources if len(source))
        facts = trained_metadata(ModelMetadata() if inputs.start is None else inputs.start.metadata, stage, short_side)
    export.publish(network, stage.component, run / "model", start=inputs.start, facts=facts, levels=levels)
    return run / "model"
