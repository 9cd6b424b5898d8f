"""A preset: a training stage, its configuration, and the hardware it is meant for."""

from dataclasses import dataclass

from recast.engine.config import TrainConfig
from recast.training.stages import TrainStage


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Hardware of a preset.

    devices: number of devices of type `name`. tflops: TFLOP/s of bfloat16 matrix products on one device, as
    `benchmarks/` measures it. use: MFU, assumed until a run has measured it. gib: memory of one device in GiB.
    """

    name: str
    devices: int
    tflops: float
    use: float
    gib: float


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A training: its purpose, stage, optimiser configuration and hardware.

    after: what stands ready before: presets and steps by name, or a model folder in words. start: the preset whose
    network it goes on from, with a new optimizer; empty where the command names the start, or where there is none.
    measured: what it came to when somebody ran it, how long that took, and what was not recorded; empty until then.
    usage: the command line, where `{name}` stands for the preset's name and `{processes}` for `--nproc` if needed.
    """

    about: str
    stage: TrainStage
    config: TrainConfig
    hardware: Hardware
    after: str = ""
    measured: str = ""
    start: str = ""
    usage: str = "recast train {name} --data SHARDS... --from FOLDER -o runs/{name}{processes}"

    def command(self, name: str) -> str:
        """What to type."""
        processes = f" --nproc {self.hardware.devices}" if self.hardware.devices > 1 else ""
        return self.usage.format(name=name, processes=processes)
