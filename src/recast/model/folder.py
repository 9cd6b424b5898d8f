"""Models on disk: folders in diffusers' layout, one subfolder a component, weights only as safetensors.

Nothing here, and nothing that it calls, reaches for the network.
"""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast.errors import RecastError, WeightsError
from recast.model.budget import allocating_at_most
from recast.model.configs import check_configs
from recast.model.index import has_index, read_index
from recast.model.loading import loaded
from recast.model.metadata import ModelMetadata, json_object
from recast.model.pulled import folder_of, is_pulled
from recast.model.specs import SPECS
from recast.model.weight_files import MOST_TEXT_BYTES, check_files, check_values, held_in, weight_files

if TYPE_CHECKING:
    import torch

MODELS: dict[str, str] = {
    "pocket": "assets/pocket",
    "pocket-words": "assets/pocket-words",
}
"""Models that come with the package: name, and folder inside it."""

COMPONENTS: dict[str, tuple[str, ...]] = {
    "appearance": ("config.json",),
    "condition_encoder": ("config.json",),
    "connectors": ("config.json",),
    "controlnet": ("config.json",),
    "depth_estimator": ("config.json",),
    "detector": ("config.json", "preprocessor_config.json"),
    "feature_extractor": ("preprocessor_config.json",),
    "fps_embedding": ("config.json",),
    "image_encoder": ("config.json",),
    "image_scheduler": ("scheduler_config.json",),
    "ip_adapter": (),
    "motion_adapter": ("config.json",),
    "person_detector": ("config.json", "preprocessor_config.json"),
    "pose_encoder": ("config.json",),
    "pose_estimator": ("config.json", "preprocessor_config.json"),
    "prior": ("config.json",),
    "prior_scheduler": ("scheduler_config.json",),
    "projection": ("config.json",),
    "scheduler": ("scheduler_config.json",),
    "segmenter": ("config.json", "preprocessor_config.json"),
    "temporal": (),
    "text_encoder": ("config.json",),
    "text_encoder_2": ("config.json",),
    "tiny_vae": ("config.json",),
    "tokenizer": ("tokenizer_config.json",),
    "tokenizer_2": ("tokenizer_config.json",),
    "transformer": ("config.json",),
    "transformer_2": ("config.json",),
    "unet": ("config.json",),
    "vae": ("config.json",),
}
"""What a folder may hold, and the files without which a component cannot be read."""

_WITHOUT_WEIGHTS = frozenset(
    {"feature_extractor", "image_scheduler", "prior_scheduler", "scheduler", "tokenizer", "tokenizer_2"}
)
_NUMBER = re.compile(r"_\d+$")
"""Behind the second ControlNet's name and those that follow."""


def is_public(name: str) -> bool:
    """Whether that is the name of a public model, and of no folder here, which would go first."""
    return name in SPECS and not Path(name).is_dir()


@dataclass(frozen=True)
class ModelFolder:
    """A model on disk. Opening it reads no weights."""

    path: Path
    metadata: ModelMetadata

    @classmethod
    def found(cls, name_or_path: str | PathLike[str]) -> "ModelFolder":
        """The model of a known name, or the folder at a path.

        Raises WeightsError where there is no such model, or where the folder is not in diffusers' layout.
        """
        name, models = str(name_or_path), f"one of {', '.join(MODELS)}, or a folder in diffusers' layout"
        if is_public(name):
            return cls._pulled(name)
        known = name in MODELS
        path = Path(str(files("recast"))) / MODELS[name] if known else Path(name).expanduser()
        if known and not path.exists():
            raise WeightsError(f"model {name!r} is not in this installation; install recast-video again")
        if not path.is_dir():
            wrong = "is a file, not a model folder" if path.exists() else "is neither a known model nor a folder"
            near = get_close_matches(name[:60], [*MODELS, *SPECS], n=1)
            raise WeightsError(f"{name!r} {wrong}; say {models}" + "".join(f"; did you mean {each}?" for each in near))
        if not has_index(path):
            around = path.resolve().parent
            better = f"the folder around it, {around}" if has_index(around) else models
            wrong = "has no model_index.json, which says what a model is made of, so it is no model folder"
            raise WeightsError(f"{name!r} {wrong}; say {better}")
        read_index(path)
        return cls(path, ModelMetadata.read(path / "recast.json"))

    @classmethod
    def around(cls, component: Path) -> "ModelFolder":
        """The folder that holds a network's own folder, which is then a component of it by its name."""
        return cls(component.parent, ModelMetadata())

    @classmethod
    def _pulled(cls, name: str) -> "ModelFolder":
        if not is_pulled(name):
            spec = SPECS[name]
            brings = f"`recast models pull {name}` brings it, about {spec.gigabytes:g} GB"
            raise WeightsError(f"model {name!r} is not here; {brings}, under {' and '.join(spec.licences)}")
        return cls.found(folder_of(name))

    def has(self, name: str) -> bool:
        """Whether there is a subfolder for the component; `component` says whether it is whole."""
        return (self.path / name).is_dir()

    def component(self, name: str) -> Path:
        """The folder of one component, with the files that it cannot do without.

        Raises WeightsError where it or one of its files is missing, is not safetensors, or asks to run code.
        """
        path = self.path / name
        if not path.is_dir():
            raise WeightsError(
                f"the model has no {name}; it has {held_in(self.path)}; get the whole folder; {self.path}"
            )
        gone = sorted(each.name for each in path.iterdir() if each.is_symlink() and not each.exists())
        if gone:
            wrong = f"{name} links to files that are gone from the cache, such as {gone[0]}"
            raise WeightsError(f"{wrong}; `recast models pull` brings the model again; {path}")
        for needed in COMPONENTS.get(_NUMBER.sub("", name), ("config.json",)):
            if not (path / needed).is_file():
                raise WeightsError(f"{name} has no {needed}; it has {held_in(path)}; get the whole folder; {path}")
        check_files(name, path)
        check_configs(name, path)
        if name not in _WITHOUT_WEIGHTS:
            weight_files(name, path)
        return path

    def part(self, name: str, kind: type, **settings: object) -> Any:  # noqa: ANN401 -- Auto classes give others
        """A component without weights (tokenizer, scheduler, image processor) by `kind`'s `from_pretrained`.

        Raises WeightsError as `component` does, and where the class cannot read the files.
        """
        path = self.component(name)
        with quiet(), _readable(name, path):
            reader: Any = kind
            return reader.from_pretrained(str(path), local_files_only=True, **settings)

    def scheduler_config(self, name: str = "scheduler") -> dict[str, Any]:
        """The entries of a scheduler's configuration, its class's name among them. Raises WeightsError."""
        return json_object(self.component(name) / "scheduler_config.json")

    def network(self, name: str, kind: type, dtype: "torch.dtype | None" = None) -> Any:  # noqa: ANN401 -- Auto classes
        """A component's network, of class `kind`, in evaluation mode, fp32 whatever its file holds.

        kind: a class of diffusers or transformers, or any module built from the entries of its config.json. dtype: to
        read it in instead, for networks that have no room in fp32; layers that their class keeps in fp32 stay so.
        Raises WeightsError as `component` does, for missing weights, and for weights that are NaN or infinite.
        """
        path = self.component(name)
        held = weight_files(name, path)
        size = sum(file.stat().st_size for file in held)
        with quiet(), _readable(name, path), allocating_at_most(f"{name} in {path}", size):
            network, missing, left_over = loaded(kind, path, held, dtype)
        for wrong, weights in {"lacks": missing, "has besides": left_over}.items():
            if weights:
                first = ", ".join(sorted(weights)[:3])
                raise WeightsError(f"{name} {wrong} {len(weights)} weights of its network, such as {first}; {path}")
        check_values(name, path, network.state_dict())
        return network.eval()

    @property
    def known_words(self) -> frozenset[str]:
        """The words that it was trained on; empty where the folder does not say. Raises WeightsError."""
        if self.metadata.known_words is None:
            return frozenset()
        path = self.path / self.metadata.known_words
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise WeightsError(f"recast.json names {self.metadata.known_words!r}, outside of the folder; {self.path}")
        if not path.is_file():
            raise WeightsError(f"recast.json names {self.metadata.known_words!r}, which is not there; {self.path}")
        if path.stat().st_size > MOST_TEXT_BYTES:
            raise WeightsError(f"{path.name} has more than {MOST_TEXT_BYTES} bytes; get it again; {self.path}")
        return frozenset(path.read_text("utf-8", errors="replace").split())


@contextmanager
def quiet() -> Iterator[None]:
    """Silences the notes and progress bars of diffusers and transformers; errors still come as exceptions."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    talkers = (diffusers_logging, transformers_logging)
    before = [(talker.get_verbosity(), talker.is_progress_bar_enabled()) for talker in talkers]
    for talker in talkers:
        talker.set_verbosity_error()
        talker.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for talker, (verbosity, bars) in zip(talkers, before, strict=True):
            talker.set_verbosity(verbosity)
            if bars:
                talker.enable_progress_bar()


@contextmanager
def _readable(name: str, path: Path) -> Iterator[None]:
    try:
        yield
    except RecastError:
        raise
    except Exception as fault:  # what is wrong in a configuration, libraries tell by whatever they run into
        # torch says what does not fit below a first line that says only that something does not.
        reason = " ".join(str(fault).split()) or type(fault).__name__
        raise WeightsError(f"{name} cannot be read: {reason[:300]}; its files do not fit each other; {path}") from fault
