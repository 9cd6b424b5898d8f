"""Editing methods: one published recipe a file, a frozen dataclass whose fields are its knobs."""

from typing import ClassVar, Protocol, runtime_checkable

from recast.backbones.backbone import Backbone
from recast.denoising import DenoiseInputs
from recast.methods.anyv2v import AnyV2V
from recast.methods.codef import CoDeF
from recast.methods.controlvideo import ControlVideo
from recast.methods.csd import CSD
from recast.methods.deforum import Deforum
from recast.methods.depth_frames import DepthFrames
from recast.methods.dmt import DMT
from recast.methods.edit_a_video import EditAVideo
from recast.methods.fatezero import FateZero
from recast.methods.flatten import FLATTEN
from recast.methods.flowalign import FlowAlign
from recast.methods.flowedit import FlowEdit
from recast.methods.fresco import FRESCO
from recast.methods.gen1 import Gen1
from recast.methods.gen_l_video import GenLVideo
from recast.methods.ground_a_video import GroundAVideo
from recast.methods.infedit import InfEdit
from recast.methods.infusion import InFusion
from recast.methods.instruct_pix2pix import InstructPix2Pix
from recast.methods.instruct_vid2vid import InstructVid2Vid
from recast.methods.magicprop import MagicProp
from recast.methods.make_a_protagonist import MakeAProtagonist
from recast.methods.medm import MeDM
from recast.methods.needs import Need
from recast.methods.pix2video import Pix2Video
from recast.methods.pnp import PlugAndPlay
from recast.methods.rave import RAVE
from recast.methods.rerender import Rerender
from recast.methods.sdedit import SDEdit
from recast.methods.sdedit_frames import SDEditFrames
from recast.methods.sdedit_propagated import SDEditPropagated
from recast.methods.streamv2v import StreamV2V
from recast.methods.text2video_zero import Text2VideoZero
from recast.methods.text_to_video import TextToVideo
from recast.methods.tokenflow import TokenFlow
from recast.methods.tune_a_video import TuneAVideo
from recast.methods.uniedit import UniEditFlow
from recast.methods.vid2vid_zero import Vid2VidZero
from recast.methods.videdit import VidEdit
from recast.methods.video_p2p import VideoP2P
from recast.methods.videocontrolnet import VideoControlNet
from recast.methods.videoswap import VideoSwap
from recast.methods.vidtome import VidToMe
from recast.types import Latents


@runtime_checkable
class Method(Protocol):
    """A way to edit, called once an edit. It keeps nothing between calls and changes nothing that it is given."""

    paper: ClassVar[str]
    """The name that it was published under, and where."""
    needs: ClassVar[frozenset[Need]]
    """What it cannot do without in a backbone; where that lacks something, an edit is refused."""
    needs_source: ClassVar[bool]
    """Whether it reads `DenoiseInputs.source`, the description of the clip as it is."""
    ensembles: ClassVar[bool]
    """Whether it can average answers over noise, `DenoiseInputs.ensemble`; if not, more than 1 is refused."""
    pictures_apart: ClassVar[bool]
    """Whether it reads pictures apart from words, `DenoiseInputs.pictured`; if not, both are blended by weight."""
    follows_flow: ClassVar[bool]
    """Whether it asks for optical flow of the clip, by `DenoiseInputs.flow`."""

    over_time: ClassVar[frozenset[str]]
    """Settings that it takes frame by frame, of `SCHEDULED` in `editing/schedules.py`; others have no schedule."""

    @property
    def ignores(self) -> frozenset[str]:
        """Settings of a request, by name, that change nothing in its edits."""
        ...

    def __call__(self, inputs: DenoiseInputs, backbone: Backbone) -> Latents:
        """The edited clip's latents, as many as the source's. The same inputs give the same answer.

        Where it has a knob `strength`, 0 gives the source's latents back, bit for bit.
        Raises RequestError for a knob outside its range.
        """
        ...


METHODS: dict[str, type[Method]] = {
    "codef": CoDeF,
    "controlvideo": ControlVideo,
    "csd": CSD,
    "deforum": Deforum,
    "depth-frames": DepthFrames,
    "dmt": DMT,
    "edit-a-video": EditAVideo,
    "fatezero": FateZero,
    "flatten": FLATTEN,
    "flowalign": FlowAlign,
    "flowedit": FlowEdit,
    "fresco": FRESCO,
    "gen1": Gen1,
    "gen-l-video": GenLVideo,
    "ground-a-video": GroundAVideo,
    "infedit": InfEdit,
    "infusion": InFusion,
    "instruct-pix2pix": InstructPix2Pix,
    "instruct-vid2vid": InstructVid2Vid,
    "magicprop": MagicProp,
    "make-a-protagonist": MakeAProtagonist,
    "medm": MeDM,
    "pix2video": Pix2Video,
    "pnp": PlugAndPlay,
    "rave": RAVE,
    "rerender": Rerender,
    "sdedit": SDEdit,
    "sdedit-frames": SDEditFrames,
    "sdedit-propagated": SDEditPropagated,
    "streamv2v": StreamV2V,
    "text2video-zero": Text2VideoZero,
    "tokenflow": TokenFlow,
    "tune-a-video": TuneAVideo,
    "uniedit-flow": UniEditFlow,
    "vid2vid-zero": Vid2VidZero,
    "videdit": VidEdit,
    "video-p2p": VideoP2P,
    "videocontrolnet": VideoControlNet,
    "videoswap": VideoSwap,
    "vidtome": VidToMe,
    # Last: "auto" takes the first that has a request's knobs, and few models can host this one.
    "anyv2v": AnyV2V,
}
"""Every editing method by name."""

GENERATORS: dict[str, type[Method]] = {"text-to-video": TextToVideo}
"""Ways to make a clip without a source, by name."""

ALL_METHODS: dict[str, type[Method]] = METHODS | GENERATORS
"""Both, which a request may name."""
