"""Shards as datasets of the autoencoder and the depth estimator: pictures with depth."""

from dataclasses import dataclass

import numpy as np
from einops import rearrange

from recast.data.shards import Bucket


@dataclass(frozen=True, eq=False)
class ShardPictures:
    """Frames and depth of a bucket, without masks of subjects."""

    bucket: Bucket

    def __len__(self) -> int:
        return len(self.bucket)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames of each clip, and their height and width in pixels."""
        return self.bucket.frames, *self.bucket.size

    def picture(self, clip: int, frame: int) -> np.ndarray:
        """A frame: uint8 [h w 3]. Raises RequestError as the bucket does."""
        return rearrange(self.bucket.picture(clip, frame), "c h w -> h w c").numpy()

    def depth(self, clip: int, frame: int) -> np.ndarray:
        """Its inverse depth, 0..1 over the clip: float32 [h w]. Raises RequestError as the bucket does."""
        return self.bucket.depth(clip)[frame, 0].numpy()

    def things(self, clip: int, frame: int) -> np.ndarray:  # noqa: ARG002 -- alike for all
        """Zeros, since subjects are unknown: uint8 [h w]."""
        return np.zeros(self.bucket.size, np.uint8)
