"""Whether CLIP guidance follows a sound: `python benchmarks/sound_guidance.py CLIP -p WORDS --source-prompt WORDS`.

A tone whose loudness rises and falls twice drives `clip_guidance` of an edit of the clip, beside the plain edit from
the same seed. Of each scale: the correlation over the frames of the loudness with how far the result is from the plain
edit (mean of pixels, 0..255), and with how much more the CLIP pair finds the prompt in it than in the plain edit. A
sheet of all is written, to be looked at.
"""

import argparse
import json
import wave
from pathlib import Path
from time import process_time

import numpy as np
import torch
import torch.nn.functional as F

import recast
from recast.conditions.clip_pair import ClipPair
from recast.types import Frames
from recast.video.read import Window, opened, read
from recast.video.sheet import saved, sheet
from recast.video.waveform import RATE


def tone(target: Path, frames: int, fps: float) -> np.ndarray:
    """Writes a tone as WAV; gives its loudness in each frame, 0..1."""
    levels = np.abs(np.sin(2 * np.pi * np.arange(frames) / frames)).round(2)
    amplitude = np.repeat(levels, round(RATE / fps))
    samples = 0.9 * amplitude * np.sin(2 * np.pi * 440 * np.arange(len(amplitude)) / RATE)
    with wave.open(str(target), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((32767 * samples).astype("<i2").tobytes())
    return levels


def found(pair: ClipPair, frames: Frames, words: str) -> torch.Tensor:
    """Cosine of each frame with the words."""
    return F.normalize(pair.embeddings(frames), dim=-1) @ F.normalize(pair.embedded(words), dim=-1)


def main() -> None:
    """Prints a row for each scale as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("-p", "--prompt", required=True)
    parser.add_argument("--source-prompt", required=True)
    parser.add_argument("-m", "--model", default="pocket-words")
    parser.add_argument("--pair", default="pocket")
    parser.add_argument("--cfg", type=float, default=0.0)
    parser.add_argument("--scales", default="30,100")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("-o", "--output", type=Path, default=Path("sound.png"))
    asked = parser.parse_args()
    clip, beat = read(opened(asked.clip), Window(max_frames=asked.frames)), asked.output.with_suffix(".wav")
    levels = tone(beat, len(clip), float(clip.fps))
    editor, pair = recast.load(asked.model), ClipPair.opened(asked.pair, torch.device("cpu"))
    words = {"prompt": asked.prompt, "source_prompt": asked.source_prompt, "clip_pair": asked.pair}
    settings = {"method": "sdedit", "strength": 0.6, "steps": 8, "size": 128, "seed": 3, "cfg": asked.cfg}
    plain = editor(clip, **words, **settings).frames
    rows = [list(plain)]
    for scale in asked.scales.split(","):
        began, driven = process_time(), {"clip_guidance": f"sound(loudness of {beat}, 0..{scale})"}
        made = editor(clip, **words, **settings, schedules=driven).frames
        rows.append(list(made))
        far = (made.float() - plain.float()).abs().mean((1, 2, 3)).numpy()
        rise = (found(pair, made, asked.prompt) - found(pair, plain, asked.prompt)).numpy()
        follows = {
            name: round(float(np.corrcoef(each, levels)[0, 1]), 2) for name, each in (("far", far), ("rise", rise))
        }
        most = {"most far": round(float(far.max()), 1), "most rise": round(float(rise.max()), 3)}
        print(
            json.dumps({"scale": scale, **follows, **most, "processor seconds": round(process_time() - began)}),
            flush=True,
        )
    saved(sheet(rows, ["plain", *asked.scales.split(",")], columns=len(clip), height=96), asked.output)


if __name__ == "__main__":
    main()
