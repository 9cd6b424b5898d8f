"""What the networks of an edit take, counted by shapes: products of each frame and each call, and memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

from recast.backbones.memory import streamed_bytes
from recast.conditions.content import ContentInput, Medium
from recast.editing.loaded import Model
from recast.editing.resolve import ResolvedEdit
from recast.evaluation.dry_run import blank_clip, walked
from recast.evaluation.meta_networks import MetaNetworks
from recast.evaluation.metrics.cost import Call, Evaluations


def walk_of(resolved: ResolvedEdit, model: Model, frames: int) -> Evaluations:
    """What a segment of so many frames asks of the network."""
    clip = blank_clip(frames, model.backbone.pixel_multiple)
    words = (ContentInput(Medium.WORDS, "x"),) if resolved.method.needs_source else ()
    small = replace(resolved, source=clip, size=clip.size, mask=None, shown=resolved.shown or words)
    return walked(small, model, clip)


@dataclass(frozen=True, eq=False)
class EditCost:
    """What the networks take of each frame and each call.

    held: bytes of a frame while its segment is denoised. weights: bytes of them that are on the device at once.
    """

    calls: Mapping[Call, float]
    alive: int
    encoding: float
    decoding: float
    decoding_alive: int
    latent_bytes: int
    held: int
    weights: int
    device: str

    @classmethod
    def of(cls, resolved: ResolvedEdit, model: Model, walks: Mapping[int, Evaluations]) -> "EditCost":
        """Of an edit. walks: by the frames of a segment, as `walk_of` gives them."""
        backbone = model.backbone
        kinds = tuple(named.kind for named in resolved.structures if named.kind in backbone.structure_kinds)
        networks = MetaNetworks.of(backbone, kinds)
        small = backbone.encode(blank_clip(1, backbone.pixel_multiple).frames)
        factor = blank_clip(1, backbone.pixel_multiple).size[0] // small.shape[-2]
        rows, columns = (side // factor for side in resolved.size)
        costs = {
            call: networks.denoising(_at_size(call, (rows, columns), (small.shape[-2], small.shape[-1])), factor)
            for call in dict.fromkeys(call for walk in walks.values() for call in walk.calls)
        }
        latents = (small.shape[1], rows, columns)
        encoding, structuring = networks.encoding(resolved.size), networks.structuring(resolved.size)
        decoding = networks.decoding(latents)
        numbers, places = small.shape[1] * rows * columns, resolved.size[0] * resolved.size[1]
        return cls(
            calls={call: cost.flops for call, cost in costs.items()},
            alive=max((cost.alive for cost in costs.values()), default=0),
            encoding=encoding.flops + structuring.flops,
            decoding=decoding.flops,
            decoding_alive=max(decoding.alive, encoding.alive, structuring.alive),
            latent_bytes=4 * numbers,
            # Pixels before and after; maps as measured, scaled and softened; latents of the walk, its noise and others.
            held=2 * 3 * places + 3 * 4 * places * max(1, len(kinds)) + 8 * 4 * numbers,
            weights=streamed_bytes(backbone)[1 if model.streams else 0],
            device=model.device.type,
        )

    def denoising(self, walk: Evaluations) -> float:
        """FLOPs of a walk."""
        return sum(count * self.calls[call] for call, count in walk.calls.items())

    def memory(self, frames: int, resident: int) -> int:
        """Peak bytes with a segment of so many frames."""
        work = max(self.alive, self.decoding_alive)
        if self.device == "cuda":
            return self.weights + work + frames * self.latent_bytes * 8
        return resident + frames * self.held + work


def _at_size(call: Call, size: tuple[int, int], walked_size: tuple[int, int]) -> Call:
    """The call with latents as many times as large as the edit's are, compared with those that were walked through."""
    frames, channels, rows, columns = call.shape
    scaled = (ceil(rows * size[0] / walked_size[0]), ceil(columns * size[1] / walked_size[1]))
    return call._replace(shape=(frames, channels, *scaled))
