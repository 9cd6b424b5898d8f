"""The stage that teaches a generator to answer in one evaluation what it answers in many."""

from dataclasses import dataclass, field

from recast.engine.config import Loss
from recast.networks.generator import Generator
from recast.training.objectives.distillation import Distilled, distilled
from recast.training.stages import GeneratorStage, Inputs


@dataclass(frozen=True, kw_only=True)
class DistilledStage(GeneratorStage):
    """A generator that learns its start's own answers, guided and averaged over noise.

    wanted: which answers. The start is the teacher too, and stays as it is.
    """

    wanted: Distilled = field(default_factory=Distilled)

    def loss(self, inputs: Inputs) -> Loss[Generator]:
        """Squared error of v against the teacher's answers."""
        teacher = Generator.new(self.layers, structure=self.structure)
        if inputs.start is not None:
            teacher = Generator.grown(inputs.start, self.layers, structure=self.structure)
        return distilled(
            teacher.requires_grad_(False).eval(),
            inputs.examples(),
            self.schedule(),
            self.batches,
            self.wanted,
            structure=self.structure,
            temporal_weight=self.temporal_weight,
            seed=self.seed,
        )
