"""A suite as a TOML file: a list of clips and prompts, and the methods, models and seeds to edit each with."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from recast.editing.request import Request
from recast.errors import MediaError, RequestError, known
from recast.evaluation.endpoint import ChatEndpoint
from recast.evaluation.suites.layouts import LAYOUTS, ClipEdit
from recast.model.folder import MODELS
from recast.model.specs import SPECS

FIXED = frozenset({"model", "source", "target", "overwrite", "words", "seed", "method", "mask", "edit", "device"})
"""Settings of a request that a suite sets by other keys, or for each edit."""


@dataclass(frozen=True)
class SuiteArm:
    """One way to edit. label: what tables call it. options: of a request besides model and seed, by name."""

    label: str
    options: tuple[tuple[str, Any], ...]
    model: str


@dataclass(frozen=True)
class SuiteItem:
    """One edit to make and measure. number: of its prompt among those of its clip."""

    edit: ClipEdit
    number: int
    arm: SuiteArm
    seed: int

    @property
    def name(self) -> str:
        """What results and files know it by."""
        parts = (self.edit.name, f"{self.number:02d}", self.arm.label, f"seed{self.seed}")
        return "--".join("".join(c if c.isalnum() or c in "-_." else "_" for c in part) for part in parts)


@dataclass(frozen=True)
class SuiteFile:
    """The keys of a suite's file. Paths are taken from the file's folder on.

    prompts: the list of clips and prompts. videos: the folder that its clips are in, that of the list if not said.
    layout: of LAYOUTS. models: names or folders. methods: names, or tables with the key method and settings of it.
    clips, kinds: only these.
    settings: of all edits, by name. encoder: measures in place of the package's networks, as `--encoder`.
    ask, ask_model: an endpoint and a vision-language model there that is asked about each edit, as `--ask`.
    preference, lpips: folders of PickScore's CLIPModel and of an LPIPS, as `--preference` and `--lpips`.
    Raises RequestError for what it cannot have.
    """

    folder: Path
    prompts: str
    videos: str = ""
    layout: str = "table"
    methods: tuple[str | Mapping[str, Any], ...] = ("auto",)
    models: tuple[str, ...] = ("pocket",)
    seeds: tuple[int, ...] = (0,)
    clips: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    encoder: str | None = None
    ask: str | None = None
    ask_model: str = ""
    preference: str | None = None
    lpips: str | None = None

    @classmethod
    def opened(cls, path: Path) -> "SuiteFile":
        """The file's suite. Raises MediaError where it cannot be read, RequestError for what is wrong in it."""
        try:
            keys = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
            raise MediaError(f"the suite cannot be read ({fault}); {path}") from fault
        names = [each.name for each in fields(cls) if each.name != "folder"]
        for key, value in keys.items():
            known("key of a suite", key, names)
            _check_kind(key, value)
        if "prompts" not in keys:
            raise RequestError(f'the suite names no list of prompts; write prompts = "FILE.csv"; {path}')
        held: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()}
        suite = cls(path.parent, **held)
        known("layout of a list of prompts", suite.layout, LAYOUTS)
        if suite.ask is not None:
            ChatEndpoint(suite.ask, suite.ask_model)
        for arm in suite.arms:
            Request.asked(words="a", **dict(arm.options))
        return suite

    @property
    def arms(self) -> list[SuiteArm]:
        """Every method with every model."""
        made = []
        for model in self.models:
            for method in self.methods:
                own = {"method": method} if isinstance(method, str) else dict(method)
                label = " ".join(
                    [str(own.get("method", "auto")), *(f"{k}={v}" for k, v in own.items() if k != "method")]
                )
                label += f" {Path(model).name}" if len(self.models) > 1 else ""
                options = dict(self.settings) | own
                for name in options:
                    if name in FIXED - {"method"}:
                        raise RequestError(f"{name} is no setting of a suite's edits; the suite sets it by itself")
                held = ((name, tuple(value) if isinstance(value, list) else value) for name, value in options.items())
                made.append(SuiteArm(label, tuple(held), self.located(model)))
        return made

    @property
    def networks(self) -> dict[str, str | None]:
        """Those that measure, by key, as the file names them."""
        return {"encoder": self.encoder, "preference": self.preference, "lpips": self.lpips}

    def located(self, named: str) -> str:
        """A model or network as the file names it: a known name, or a folder from the file's folder on."""
        return named if named in MODELS or named in SPECS else str(self.folder / Path(named).expanduser())

    def edits(self) -> list[ClipEdit]:
        """Those of the list that were asked for. Raises MediaError and RequestError as readers do, and for none."""
        prompts = self.folder / self.prompts
        listed = list(LAYOUTS[self.layout](prompts, self.folder / self.videos if self.videos else prompts.parent))
        names, kinds = (list(dict.fromkeys(getattr(edit, part) for edit in listed)) for part in ("name", "kind"))
        for clip in self.clips:
            known("clip in the list", clip, names)
        for kind in self.kinds:
            known("kind of edit in the list", kind, kinds)
        by_name: dict[str, Path] = {}
        for edit in listed:
            other = by_name.setdefault(edit.name, edit.clip)
            if other != edit.clip:
                raise RequestError(f"{other} and {edit.clip} have one name, {edit.name}; rename one of them; {prompts}")
        chosen = [e for e in listed if e.name in (self.clips or names) and e.kind in (self.kinds or kinds)]
        if not chosen:
            raise RequestError(f"the list holds no edit that is asked for; {prompts}")
        return chosen

    def items(self) -> list[SuiteItem]:
        """All edits to make, those of one clip one after the other."""
        return list(self._items())

    def _items(self) -> Iterator[SuiteItem]:
        numbers: dict[str, int] = {}
        for edit in self.edits():
            number = numbers[edit.name] = numbers.get(edit.name, 0) + 1
            for arm in self.arms:
                for seed in self.seeds:
                    yield SuiteItem(edit, number, arm, seed)


def _check_kind(key: str, value: object) -> None:
    lists = {"methods": (str, dict), "models": (str,), "seeds": (int,), "clips": (str,), "kinds": (str,)}
    kinds = {"settings": dict}
    if key in lists:
        right = isinstance(value, list) and value != [] and all(isinstance(each, lists[key]) for each in value)
        wanted = f"a list of {'numbers' if key == 'seeds' else 'names'}"
    else:
        kind = kinds.get(key, str)
        right, wanted = isinstance(value, kind), "a table" if kind is dict else "text"
    if not right:
        raise RequestError(f"{key} of a suite is {value!r}; it should be {wanted}")
