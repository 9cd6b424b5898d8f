"""The judge: malformed media, spoilt model folders and odd command lines, and what recast makes of them, in a table.

`python tests/fuzz/judge.py media --count 10000 --seed 0`, or folders, or lines. It ends with 1 where one of them ended
as none may: by a crash, a hang, an error that is not recast's, damage unsaid, a model that should not be.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

GOOD = frozenset({"ok", "refused", "identical", "noted", "opened", "silent"})
"""How one may end. silent: pixels differ, and neither the file nor the decoder tells of it."""

Verdict = tuple[str, str, str]
"""How it ended, in a word; what it was; what was said."""


def media(count: int, seed: int, place: Path) -> Iterator[Verdict]:
    """Malformed copies of small clips."""
    from judge_media import decoded, verdict
    from media_files import mutants, seeds

    whole = {}
    for name, data in seeds().items():
        (place / name).write_bytes(data)
        whole[name], _, notes = decoded(place / name)
        if any("damaged" in note for note in notes):
            yield "false alarm", name, notes[-1]
    for mutant in mutants(count, seed):
        yield *(found := verdict(mutant, place, whole[mutant.seed]))[:1], f"{mutant.seed}: {mutant.how}", found[1]


def folders(count: int, seed: int, place: Path) -> Iterator[Verdict]:
    """Spoilt copies of a small model folder."""
    from judge_folders import verdict
    from model_folders import folder_mutants

    from tiny_folder import written

    whole = written(place / "whole")
    for mutant in folder_mutants(whole, count, seed):
        word, text = verdict(mutant, whole)
        yield word, mutant.name, text


def lines(count: int, seed: int, place: Path) -> Iterator[Verdict]:
    """Odd command lines, `count` of them evenly taken from all, from number `seed` on."""
    import contextlib

    from command_lines import command_lines
    from judge_lines import verdict

    from tiny_folder import clip_folder, written

    written(place / "model")
    clip_folder(place / "clip", frames=2)
    known = list(command_lines())
    with contextlib.chdir(place):
        for arguments in islice(known, seed, None, max(1, len(known) // count)):
            word, text = verdict(arguments)
            yield word, " ".join(each[:40] for each in arguments), text


def main() -> int:
    """Runs one corpus, and prints how many ended how."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", choices=["media", "folders", "lines"])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    corpus = {"media": media, "folders": folders, "lines": lines}[asked.corpus]
    counts, began = Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        for word, name, text in corpus(asked.count, asked.seed, Path(place)):
            counts[word] += 1
            if word not in GOOD:
                print(f"{word}: {name!a}: {text!a}", flush=True)
    print(f"{counts.total()} in {time.monotonic() - began:.0f} s")
    for word, count in counts.most_common():
        print(f"{count:7} {word}")
    return int(not GOOD.issuperset(counts))


if __name__ == "__main__":
    sys.exit(main())
