"""Motion modules of AnimateDiff behind the layers of an image UNet, and the image UNet of one that was saved whole."""

from typing import Any

from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D, MotionAdapter, UNetMotionModel
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from recast.errors import WeightsError
from recast.networks.temporal import TemporalContext

_OF_MOTION = ".motion_modules."


class MotionModule(nn.Module):
    """One motion module: a residual transformer over the frames of each place. arXiv:2307.04725, section 4.2."""

    def __init__(self, transformer: AnimateDiffTransformer3D) -> None:
        super().__init__()
        self.motion = transformer

    def forward(self, x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
        """Features of whole clips, changed."""
        frames = x.shape[1]
        changed = self.motion(rearrange(x, "b t c h w -> (b t) c h w"), num_frames=frames)
        return rearrange(changed, "(b t) c h w -> b t c h w", t=frames)


def put_in(unet: UNet2DConditionModel, adapter: MotionAdapter) -> TemporalContext:
    """Puts the motion modules into the UNet, where UNetMotionModel has them, and returns what switches them on.

    They stand behind each spatial transformer, and behind each residual block where a level has no transformers.
    Raises WeightsError for an adapter whose modules are others in number or width, or that has a first convolution.
    """
    if adapter.conv_in is not None:
        raise WeightsError("motion_adapter has a conv_in of its own (PIA); animatediff opens adapters without one")
    context = TemporalContext()
    levels: list[tuple[Any, Any]] = [*zip(unet.down_blocks, adapter.down_blocks, strict=False)]
    levels += zip(unet.up_blocks, adapter.up_blocks, strict=False)
    if adapter.mid_block is not None:
        levels.append((unet.mid_block, adapter.mid_block))
    _check_alike(len(unet.down_blocks), len(adapter.down_blocks), "levels")
    for level, held in levels:
        _follow(context, getattr(level, "attentions", None) or level.resnets, held.motion_modules)
    return context


def image_unet(whole: UNetMotionModel) -> UNet2DConditionModel:
    """The image UNet in a network with motion modules, as AnimateDiffPipeline saves it; the weights are shared."""
    config = dict(whole.config)
    config["attention_head_dim"] = config.pop("num_attention_heads")  # diffusers calls the number of heads so
    for way in ("down_block_types", "up_block_types"):
        config[way] = tuple(kind.replace("Motion", "2D") for kind in config[way])
    unet = UNet2DConditionModel.from_config({key: config[key] for key in config if not key.startswith("_")})
    weights = {name: weight for name, weight in whole.state_dict().items() if _OF_MOTION not in name}
    unet.load_state_dict(weights, assign=True)
    return unet.eval()


def _follow(context: TemporalContext, layers: nn.ModuleList, modules: nn.ModuleList) -> None:
    _check_alike(len(layers), len(modules), "layers in a level")
    for layer, module in zip(layers, modules, strict=True):
        assert isinstance(layer, ResnetBlock2D | Transformer2DModel)
        assert isinstance(module, AnimateDiffTransformer3D)
        _check_alike(layer.out_channels, module.in_channels, "channels in a layer")
        context.follow(layer, MotionModule(module))


def _check_alike(unet: int | None, adapter: int | None, what: str) -> None:
    if unet != adapter:
        wrong = f"motion_adapter was made for {adapter} {what} and the unet has {unet}"
        raise WeightsError(f"{wrong}; take the adapter that was trained for this unet")
