"""Optical flow by a network: RAFT (arXiv:2003.12039), from a file of its published weights."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from recast.conditions.flow import Flow, resized_flow
from recast.errors import WeightsError
from recast.model.tensors import read_header
from recast.networks.raft import RAFT, STRIDE
from recast.types import Frames

ROUNDS = 12
LEAST_PX = 128
"""The smallest side: below it the coarsest correlations are of a single place. Smaller frames are enlarged."""

RENAMED = (
    (r"^module\.", ""),
    (r"^feature_encoder\.", "fnet."),
    (r"^context_encoder\.", "cnet."),
    (r"^(fnet|cnet)\.convnormrelu\.0\.", r"\1.conv1."),
    (r"^(fnet|cnet)\.convnormrelu\.1\.", r"\1.norm1."),
    (r"^(fnet|cnet)\.conv\.", r"\1.conv2."),
    (r"\.convnormrelu([12])\.0\.", r".conv\1."),
    (r"\.convnormrelu([12])\.1\.", r".norm\1."),
    (r"\.motion_encoder\.conv(corr|flow)([12])\.0\.", lambda found: f".encoder.conv{found[1][0]}{found[2]}."),
    (r"\.motion_encoder\.conv\.0\.", ".encoder.conv."),
    (r"\.recurrent_block\.convgru([12])\.conv([zrq])\.", r".gru.conv\2\1."),
    (r"^mask_predictor\.convrelu\.0\.", "update_block.mask.0."),
    (r"^mask_predictor\.conv\.", "update_block.mask.2."),
)
"""Names of torchvision's `raft_large`, and of a network saved by several processes, as the paper's code has them."""
TWICE = re.compile(r"\.norm3\.")
"""The paper's code holds the norm beside a smaller block under a second name."""


@dataclass(frozen=True, eq=False)
class RAFTFlow:
    """Estimates flow by a network. Takes frames pair by pair, so that memory is that of one pair."""

    network: RAFT

    @classmethod
    def opened(cls, path: Path, device: torch.device | str = "cpu") -> "RAFTFlow":
        """From a safetensors file, in the layout of the paper's code or of torchvision's `raft_large`.

        Raises WeightsError for a pickle, a damaged file, and weights of another network.
        """
        tensors = {name: tensor for name, tensor in _named(path).items() if not TWICE.search(name)}
        network = RAFT()
        wanted = network.state_dict()
        missing, more = sorted(set(wanted) - set(tensors)), sorted(set(tensors) - set(wanted))
        wrong = [name for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
        if missing or more or wrong:
            first = missing[:1] or more[:1] or wrong[:1]
            counted = f"{len(missing)} weights missing, {len(more)} too many, {len(wrong)} of another shape"
            raise WeightsError(
                f"{path.name} is no large RAFT: {counted}, such as {first[0]}; take another file; {path}"
            )
        network.load_state_dict(tensors)
        return cls(network.eval().to(device))

    @torch.no_grad()
    def __call__(self, frames: Frames, others: Frames, /) -> Flow:
        """Flow from each frame into the other one of the same index, on the CPU."""
        found = [self._pair(one[None], other[None]) for one, other in zip(frames, others, strict=True)]
        return torch.cat(found) if found else torch.zeros(0, 2, *frames.shape[-2:])

    def _pair(self, frame: Frames, other: Frames) -> Flow:
        rows, columns = frame.shape[-2:]
        size = max(rows, LEAST_PX), max(columns, LEAST_PX)
        place = next(self.network.parameters())
        one, two = (_padded(_scaled(each, size).to(place)) for each in (frame, other))
        top, left = ((side - own) // 2 for side, own in zip(one.shape[-2:], size, strict=True))
        flow = self.network(one, two, ROUNDS)[..., top : top + size[0], left : left + size[1]]
        return resized_flow(flow.float().cpu(), (rows, columns))


def _scaled(frames: Frames, size: tuple[int, int]) -> Float[Tensor, "b 3 y x"]:
    scaled = frames.float() / 127.5 - 1
    same = size == tuple(frames.shape[-2:])
    return scaled if same else F.interpolate(scaled, size, mode="bilinear", align_corners=False)


def _padded(frames: Float[Tensor, "b 3 y x"]) -> Float[Tensor, "b 3 h w"]:
    """To multiples of 8, on both sides, by repeating the edge."""
    rows, columns = (-side % STRIDE for side in frames.shape[-2:])
    around = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    return F.pad(frames, around, mode="replicate")


def _named(path: Path) -> dict[str, Tensor]:
    """The file's tensors by the names of the paper's code."""
    if path.suffix.lower() != ".safetensors":
        way_out = "convert it to .safetensors on a machine that may run it"
        raise WeightsError(f"{path.name} is no .safetensors file; others can run code when read: {way_out}; {path}")
    try:
        read_header(path)
        tensors = load_file(path)
    except (OSError, ValueError, SafetensorError) as fault:
        raise WeightsError(f"{path.name} is no whole safetensors file ({fault}); get it again; {path}") from fault
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, by in RENAMED:
            name = re.sub(pattern, by, name)  # noqa: PLW2901 -- step by step
        renamed[name] = tensor
    return renamed
