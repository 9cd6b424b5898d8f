"""`recast curate`: from folders of footage to shards of examples."""

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast.cli.flags import Flag, Json, Quiet, flagged
from recast.cli.progress import shown
from recast.cli.table import tell

if TYPE_CHECKING:
    from recast.curation.curate import CurationPlan

MOST_WORKERS = 16
DATA, LEFT_OUT = "What an example is", "What is left out"
SETTINGS: dict[str, Flag] = {
    "frames": Flag(("--frames",), "N", DATA, about="Frames of a clip (default 8)."),
    "stride": Flag(("--stride",), "N", DATA, about="Frames of the source from one to the next (default 4)."),
    "fps": Flag(("--fps",), "F", DATA, about="Frames a second of a clip, in place of --stride."),
    "buckets": Flag(
        ("--buckets",), "SIZES", DATA, about="paper, pocket, or sizes such as 320x320,448x256 (default paper)."
    ),
    "folders": Flag(
        ("--folders",), "auto|clip|images", DATA, about="What a folder of pictures is; auto: numbered ones are a clip."
    ),
    "pictures": Flag(("--pictures",), "jpg|png|none", DATA, about="How frames are kept (default jpg)."),
    "captioner": Flag(("--captioner",), "FOLDER", DATA, about="A model such as BLIP, for what has no caption."),
    "model": Flag(("-m", "--model"), "NAME|FOLDER", DATA, about="Computes the conditioning (default pocket)."),
    "levels": Flag(("--levels",), "N", DATA, about="Of how many t_s structure is kept, 1..8 (default 2: 0 and one)."),
    "filmed": Flag(("--filmed",), "SHARE", DATA, about="Of the worlds, as a camera films them, 0..1 (default 0)."),
    "per_shard": Flag(("--per-shard",), "N", DATA, about="Examples in a shard (default 256)."),
    "shots": Flag(("--shots",), "either|content|adaptive", LEFT_OUT, about="How cuts are found (default either)."),
    "on_damage": Flag(
        ("--on-damage",), "fail|warn|repeat", LEFT_OUT, about="A damaged file: left out, used as it comes, or filled."
    ),
    "skip": Flag(("--skip",), "FILTER", LEFT_OUT, repeated=True, about="A filter not to apply, such as text."),
    "min_motion": Flag(
        ("--min-motion",), "PERCENT", LEFT_OUT, about="Least motion a frame, of the short side (default 0.4)."
    ),
    "max_motion": Flag(("--max-motion",), "PERCENT", LEFT_OUT, about="Most motion of half the picture (default 16)."),
    "max_text": Flag(("--max-text",), "SHARE", LEFT_OUT, about="Most of the picture under text (default 0.01)."),
    "max_enlargement": Flag(
        ("--max-enlargement",), "FACTOR", LEFT_OUT, about="Most that a source may have to grow (default 1.5)."
    ),
}
"""Settings of a curation by name, as they are given on the command line."""

Sources = Annotated[
    list[str], typer.Argument(metavar="SRC...", help="Videos, pictures, folders of them, or world:N for N worlds.")
]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="SHARDS", help="The folder to make.")]
Workers = Annotated[
    int | None, typer.Option("-j", "--workers", metavar="N", min=1, help="Processes (default: one a core).")
]


@flagged(*SETTINGS, among=SETTINGS)
def curate(  # noqa: PLR0913 -- one parameter for each flag
    sources: Sources,
    output: Output,
    *,
    conditioning: Annotated[
        bool, typer.Option("--conditioning/--no-conditioning", help="Latents, structure, depth and embeddings.")
    ] = True,
    true_depth: Annotated[bool, typer.Option("--true-depth", help="Worlds tell their true depth.")] = False,
    workers: Workers = None,
    ray: Annotated[bool, typer.Option("--ray", help="On Ray: the cluster of RAY_ADDRESS, or workers here.")] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda|mps", help="What networks compute on.")] = "cpu",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    **options: Any,  # noqa: ANN401 -- one for each of SETTINGS
) -> None:
    """Turn footage into shards to train on: cut, filtered, captioned, conditioned. Run again, it goes on."""
    from recast.curation.curate import CurationPlan, Executor, curated
    from recast.curation.settings import Settings
    from recast.engine.device import chosen_device

    given = {name: value for name, value in options.items() if value not in (None, [])}
    given |= {"true_depth": true_depth, "device": chosen_device(device).type}
    plan = CurationPlan.made(sources, Settings.asked(**given | ({} if conditioning else {"model": None})))
    if dry_run:
        _foretell(plan, output, as_json=as_json)
        return
    began = time.monotonic()
    with shown(quiet=quiet) as watch:
        crew = Executor(workers or min(MOST_WORKERS, os.cpu_count() or 1), "ray" if ray else "local")
        summary, busy = curated(plan, output, watch, crew)
    took = time.monotonic() - began
    if as_json:
        print(json.dumps(summary | {"output": str(output), "seconds": round(took, 1), "done_before": not busy}))
    elif not quiet:
        _tell(summary, output, f"in {took:.1f} s" if busy else "all done before")


def _tell(summary: dict[str, Any], output: Path, when: str) -> None:
    counts = {
        "kept": f"{summary['kept']} in {len(summary['shards'])} shards",
        "dropped": summary["dropped"] or "none",
        "not readable": len(summary["failed"]),
    }
    tell(counts)
    print(f"{output / 'report.html'}: what was kept and dropped, in pictures; {when}", file=sys.stderr)


def _foretell(plan: "CurationPlan", output: Path, *, as_json: bool) -> None:
    facts: dict[str, object] = {"output": str(output), "found": plan.counts(), "settings": plan.settings.to_dict()}
    facts["passed_over"] = [{"source": name, "reason": reason} for name, reason in plan.found.passed_over]
    if as_json:
        print(json.dumps(facts))
    else:
        tell(facts)
