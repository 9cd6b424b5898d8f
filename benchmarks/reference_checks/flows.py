"""Optical flow by a network."""

from argparse import Namespace
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from benchmarks.reference_checks.published import Check, Published, gap
from benchmarks.reference_checks.toys import normal
from safetensors.torch import save_file

from recast.conditions.raft import ROUNDS, RAFTFlow


def network_of_raft(source: Published) -> float:
    """Flow between random frames by random weights, which are saved as the published code saves them and read."""

    def of(name: str) -> Published:
        return Published(source.repository, f"core/{name}.py")

    tools = of("utils/utils").load("bilinear_sampler", "coords_grid", "upflow8")
    encoder = of("extractor").load("ResidualBlock", "BasicEncoder").BasicEncoder
    parts = of("update").load("FlowHead", "SepConvGRU", "BasicMotionEncoder", "BasicUpdateBlock")
    block = of("corr").load("CorrBlock", bilinear_sampler=tools.bilinear_sampler).CorrBlock
    given: dict[str, Any] = {"BasicEncoder": encoder, "BasicUpdateBlock": parts.BasicUpdateBlock, "CorrBlock": block}
    given |= {"coords_grid": tools.coords_grid, "upflow8": tools.upflow8, "autocast": lambda **_: nullcontext()}
    torch.manual_seed(0)
    published = source.load("RAFT", **given).RAFT(Namespace(small=False, mixed_precision=False, alternate_corr=False))
    frames = (normal(2, 3, 144, 136, seed=3) * 50 + 127.5).clamp(0, 255).to(torch.uint8)
    with TemporaryDirectory() as folder, torch.no_grad():
        path = Path(folder) / "raft.safetensors"
        save_file({f"module.{name}": weight.clone() for name, weight in published.state_dict().items()}, path)
        ours = RAFTFlow.opened(path)(frames[:1], frames[1:])
        first, second = frames.float().split(1)
        theirs = published.eval()(first, second, iters=ROUNDS, test_mode=True)[1]
    return gap(ours, theirs)


CHECKS = (
    Check("optical flow", "princeton-vl/RAFT", "core/raft.py", "RAFT, large / RAFTFlow, 12 rounds", network_of_raft),
)
