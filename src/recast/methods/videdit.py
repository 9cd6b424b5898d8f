"""The foreground of an atlas edited once, and rendered back over the clip: VidEdit, arXiv:2306.08707."""

from dataclasses import dataclass
from typing import ClassVar

from recast.conditions.flow import ClipFlow
from recast.conditions.warping import Shares
from recast.errors import RequestError
from recast.methods.codef import CoDeF
from recast.substrates.found import fit_of
from recast.substrates.layers import Substrate
from recast.types import Frames


@dataclass(frozen=True, kw_only=True)
class VidEdit(CoDeF):
    """Fits an atlas to the clip and edits its foreground once, by its structure; the background stays the clip's own.

    The foreground is what moves otherwise than the rest; where nothing does, the clip is one layer, as in codef.
    Steps x branches x `strength` evaluations of one frame for the whole clip.

    Differs: the atlas is edited where its reference, the middle frame, shows it, by depth or edges as the model reads
    them, not by HED on the atlas; layers are fitted from flow, not by networks; masks are by motion, not by a segmenter
    (recast mask and --mask edit what words name).
    """

    paper: ClassVar[str] = "VidEdit, arXiv:2306.08707"

    def substrate(self, frames: Frames, flow: ClipFlow) -> Substrate:
        """An atlas, or one layer where no foreground is found."""
        try:
            return fit_of(frames, "atlas", passes=self.fit_iterations, flow=flow).run()
        except RequestError:
            return super().substrate(frames, flow)

    def changed(self, substrate: Substrate) -> Shares:
        """The top layer's."""
        return substrate.shares()[-1]
