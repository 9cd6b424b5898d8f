"""Is one clip enough? `python benchmarks/one_clip.py --first 100 --scenes 30 --results FILE.jsonl`.

Scenes of two and three subjects that hide each other; each is tuned on once for each way below, and edited to other
colours of its subjects, or to another place, with the same backbone, steps and seed. Prints tables of means with
intervals, and of differences scene by scene. Rows are kept in FILE, and adapters beside it until their scene is done:
a stopped run goes on where it was, and --scenes 0 prints what is there. --sheets DIR writes a contact sheet of each.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import process_time

import torch

from recast.conditions.clip_pair import ClipPair
from recast.editing.loaded import Model
from recast.editing.prepared import prepare
from recast.editing.record import digest
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.stages import generate
from recast.editing.tune import cached_clip
from recast.errors import known
from recast.evaluation.cases.crossings import CrossingCase, crossing_case
from recast.evaluation.judge.judge import WEIGHTS, Judge
from recast.evaluation.metrics.accuracy import pointed
from recast.evaluation.metrics.appearance import distance
from recast.evaluation.metrics.consistency import all_pairs, steadiness
from recast.evaluation.metrics.identity import identity
from recast.evaluation.metrics.prompt import prompt_consistency
from recast.evaluation.pair_scores import EMBEDDED
from recast.evaluation.report import markdown
from recast.evaluation.results import ResultsFile
from recast.evaluation.side_tables import differences, means
from recast.evaluation.trials import FPS, floors, frames_of
from recast.tuning.config import TuneConfig
from recast.tuning.tuner import tune_adapter
from recast.types import Clip, Frames, Kind, Structure
from recast.video.sheet import saved, sheet
from recast.world import rendered

MEASURES = ("found", "counted", "swapped", "identity", "environment", "prompt", "frame_pairs", "warp", "distance")
KINDS = ("colours", "place")
FIRST, TRUTH = "one-shot", "reference render"


@dataclass(frozen=True)
class Way:
    """How a scene is learned and edited. tuning: settings of TuneConfig, None for the model as it is.

    depth: whether the network sees depth, in tuning and editing; without, the map is flat.
    """

    tuning: Mapping[str, object] | None
    method: str = "tune-a-video"
    depth: bool = True


WAYS: dict[str, Way] = {
    "one-shot": Way({"train": "one-shot"}),
    "Tune-A-Video": Way({"train": "tune-a-video"}, depth=False),
    "no inversion": Way({"train": "one-shot"}, method="gen1"),
    "no depth": Way({"train": "one-shot"}, depth=False),
    "no temporal loss": Way({"train": "one-shot", "temporal": "none"}),
    "no tuning": Way(None),
    "text only": Way(None, method="text2video-zero", depth=False),
}
"""One-shot depth tuning, what it is compared with, and itself without one of its parts.

text only: frames made from the words alone, with the keys and values of the first; it stands for a text-to-video model
such as CogVideo, of which none has this backbone.
"""


def flat_depth(clip: Clip) -> Structure:
    """No depth: every pixel half way."""
    return Structure(Kind.DEPTH, torch.full((len(clip), 1, *clip.size), 0.5))


@dataclass(frozen=True, eq=False)
class Scene:
    """A case and what was learned of it. asked: the command line's settings; folder: where adapters lie meanwhile."""

    case: CrossingCase
    asked: argparse.Namespace
    folder: Path

    @cached_property
    def clip(self) -> Clip:
        """The source."""
        return Clip(frames_of(self.case.source), FPS)

    def edited(self, way: Way) -> Frames:
        """The source, edited this way."""
        adapters = () if way.tuning is None else ((str(self._tuned(way)), 1.0),)
        model = self._model(way, adapters)
        words, asked = ((self.case.words, 1.0),), self.asked
        request = Request.asked(model=asked.model, words=words, method=way.method, seed=self.case.number)
        request = request.updated(adapters=adapters, steps=asked.steps, cfg=asked.cfg)
        resolved = resolve(request, model, self.clip)
        return generate(resolved, prepare(resolved, model), model).frames

    def _tuned(self, way: Way) -> Path:
        settings = {"steps": self.asked.tuning_steps, "rate": self.asked.rate, **(way.tuning or {})}
        adapter = self.folder / "-".join(map(str, [*settings.values(), "depth" if way.depth else "flat"]))
        if not adapter.exists():
            config = TuneConfig(**settings)
            model, words = self._model(way, ()), ((self.case.source_words, 1.0),)
            resolved = resolve(Request.asked(model=self.asked.model, words=words), model, self.clip)
            tune_adapter(model.backbone, cached_clip(resolved, model, config), config, adapter)
        return adapter

    def _model(self, way: Way, adapters: tuple[tuple[str, float], ...]) -> Model:
        model = Model.loaded(self.asked.model, dtype="float32", adapters=adapters)
        return model if way.depth else replace(model, _extractors={"depth": flat_depth})


@dataclass(frozen=True, eq=False)
class Scorer:
    """Measures edits. judge: also the encoder of frames; pair: tells how well they fit the words."""

    judge: Judge
    pair: ClipPair

    def scores(self, frames: Frames, case: CrossingCase) -> dict[str, float]:
        """By the names of METRICS."""
        figures = identity(frames, case, self.judge) | steadiness(frames, case.source, self.judge)
        verdict = self.judge(frames, pointed(torch.from_numpy(case.masks[0])))
        truth = frames_of(rendered(case.truth, len(frames), *frames.shape[-2:]))
        return figures | {
            "environment": float(verdict.environment == case.truth.environment),
            "frame_pairs": all_pairs(self.judge.embeddings(frames)),
            "prompt": prompt_consistency(self.pair.embedded(case.words), self.pair.embeddings(frames)),
            "distance": distance(frames, truth),
        }


def clips(scene: Scene, model: Model) -> Iterator[tuple[str, Callable[[], Frames]]]:
    """What makes each clip of a scene, by name: bounds and floors, then the ways."""
    case, source, backbone = scene.case, scene.clip.frames, model.backbone
    truth = frames_of(rendered(case.truth, len(source), *source.shape[-2:]))
    yield TRUTH, lambda: truth
    yield "reference through the autoencoder", lambda: backbone.decode(backbone.encode(truth))
    yield "the unedited source", lambda: source
    yield "flat grey", lambda: floors(source, case.number)["grey"]
    for name in scene.asked.ways:
        yield name, lambda way=WAYS[name]: scene.edited(way)


def measure(number: int, asked: argparse.Namespace, results: ResultsFile, model: Model, scorer: Scorer) -> None:
    """Makes and measures what a scene still lacks, and keeps it."""
    done = {row["way"] for row in results.rows().values() if row["scene"] == number}
    case, shown = crossing_case(number, model.backbone.short_side), {}
    scene = Scene(case, asked, asked.results.with_suffix(".adapters") / str(number))
    scene.folder.mkdir(parents=True, exist_ok=True)
    for name, make in clips(scene, model):
        if name not in done:
            began = process_time()
            shown[name] = make()
            row = {"scene": number, "changes": case.changes, "way": name, "seconds": round(process_time() - began, 1)}
            results.add(f"{number} {name}", row | {"figures": scorer.scores(shown[name], case)})
    shutil.rmtree(scene.folder)
    if asked.sheets and shown:
        asked.sheets.mkdir(parents=True, exist_ok=True)
        rows = [list(frames) for frames in (frames_of(case.source), *shown.values())]
        saved(
            sheet(rows, [f"{case.source_words}, to be: {case.words}", *shown], height=96),
            asked.sheets / f"{number}.png",
        )


def report(results: ResultsFile) -> str:
    """All tables: means for each kind of change, and differences over all scenes."""
    rows = list(results.rows().values())
    ways = {row["way"]: None for row in rows}

    def by_way(kinds: tuple[str, ...]) -> dict[str, dict[str, dict[str, float]]]:
        kept = [row for row in rows if row["changes"] in kinds]
        return {way: {str(r["scene"]): r["figures"] for r in kept if r["way"] == way} for way in ways}

    tables = [
        means(f"Edits of {kind}", {way: cases for way, cases in by_way((kind,)).items() if cases}, MEASURES)
        for kind in KINDS
    ]
    tried = {way: cases for way, cases in by_way(KINDS).items() if way in WAYS}
    if FIRST in tried:
        tables.append(differences("Scene by scene", FIRST, tried, MEASURES))
    return "\n\n".join(markdown(table) for table in tables if table.rows)


def listed(text: str) -> list[str]:
    """Names with commas between them; none leaves bounds and floors."""
    return [name for name in text.split(",") if name]


def main() -> None:
    """Measures, then prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket-words")
    parser.add_argument("--first", type=int, default=100)
    parser.add_argument("--scenes", type=int, default=30)
    parser.add_argument("--ways", type=listed, default=list(WAYS), help=", ".join(WAYS))
    parser.add_argument("--tuning-steps", type=int, default=500)
    parser.add_argument("--rate", type=float, help="of tuning, in place of each selector's own")
    parser.add_argument("--steps", type=int, default=12, help="of denoising")
    parser.add_argument("--cfg", type=float, default=3.0)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--sheets", type=Path)
    asked = parser.parse_args()
    for name in asked.ways:
        known("way", name, WAYS)
    base = Model.loaded(asked.model, dtype="float32")
    settings = {name: getattr(asked, name) for name in ("model", "tuning_steps", "rate", "steps", "cfg")}
    results = ResultsFile(asked.results, settings | {"digest": base.digest, "judge": digest(WEIGHTS)})
    scorer = Scorer(Judge.opened(), ClipPair.opened(EMBEDDED, base.device))
    for number in range(asked.first, asked.first + asked.scenes):
        measure(number, asked, results, base, scorer)
        print(f"scene {number} of {asked.first} to {asked.first + asked.scenes - 1}", file=sys.stderr, flush=True)
    print(report(results))


if __name__ == "__main__":
    main()
