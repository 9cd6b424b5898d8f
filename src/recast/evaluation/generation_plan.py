"""What a clip from words would take, before anything runs: evaluations, FLOPs, time and memory, scene by scene."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from recast.editing.generate import canvas, check_sourceless
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.resolve import ResolvedEdit, resolve
from recast.editing.storyboard import Storyboard
from recast.evaluation.edit_cost import EditCost, walk_of
from recast.evaluation.plan import USE, products_a_second
from recast.methods.without_source import check_without_source
from recast.types import Clip


@dataclass(frozen=True, kw_only=True)
class GenerationPlan:
    """What a clip from words would take. Bytes and seconds are estimates.

    frames: of each scene; of one clip there is one. size: columns and rows. window: most frames that the network sees
    at once. evaluations: of the network. flops, seconds: by stage. memory: the most bytes held at once, of this process
    or, where there is one, of the accelerator. rate: FLOPs a second in large products, as measured.
    """

    frames: tuple[int, ...]
    size: tuple[int, int]
    fps: float
    window: int
    evaluations: int
    flops: Mapping[str, float]
    seconds: Mapping[str, float]
    memory: int
    device: str
    rate: float
    use: float = USE


def planned_generation(request: Request, model: Model, resident: Callable[[], int]) -> GenerationPlan:
    """The plan of a clip without a source, or of a storyboard's scenes. resident: peak bytes of this process up to now.

    Raises what `generated` raises before it computes.
    """
    check_sourceless(request)
    check_without_source(model.backbone, flat=bool(request.knobs.get("flat_structure")))
    scenes = [request] if request.storyboard is None else Storyboard.read(request.storyboard).requests(request)
    resolved = [resolve(scene, model, canvas(scene, model)) for scene in scenes]
    flops, evaluations, memory = Counter[str](), 0, 0
    for each in resolved:
        walk = walk_of(each, model, _frames(each))
        cost = EditCost.of(each, model, {_frames(each): walk})
        flops.update({"denoise": cost.denoising(walk), "decode": _frames(each) * cost.decoding})
        evaluations, memory = evaluations + walk.count, max(memory, cost.memory(_frames(each), resident()))
    rate = products_a_second(model)
    return GenerationPlan(
        frames=tuple(map(_frames, resolved)),
        size=resolved[0].size[::-1],
        fps=float(resolved[0].source.fps),
        window=resolved[0].window,
        evaluations=evaluations,
        flops=dict(flops),
        seconds={stage: count / (rate * USE) for stage, count in flops.items()},
        memory=memory,
        device=str(model.device),
        rate=rate,
    )


def _frames(resolved: ResolvedEdit) -> int:
    assert isinstance(resolved.source, Clip), "a clip without a source has a canvas"
    return len(resolved.source)
