"""A model, ready to edit: its folder, its networks on a device, and what it is known by."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

import torch

from recast.backbones.abilities import ModelAbilities
from recast.backbones.acceleration import check_compiled
from recast.backbones.backbone import Backbone
from recast.backbones.families import BACKBONES, family_of
from recast.backbones.memory import moved, streamed_bytes, streamed_weights, visiting
from recast.backbones.taesd import TinyDecoder
from recast.conditions import EXTRACTORS, Extractor
from recast.editing.record import digest
from recast.editing.request import Request
from recast.editing.structures import check_structure
from recast.engine.device import chosen_device, given_bytes
from recast.errors import RequestError
from recast.model.folder import ModelFolder, quiet
from recast.networks.hooks import Hook
from recast.progress import Report
from recast.tuning.adapter import Adapter, read_adapter
from recast.tuning.published import is_published, with_published
from recast.tuning.tuned import with_adapters
from recast.types import ClipLatents, Frames

Decode = Callable[[ClipLatents, Report], Frames]
"""Latents to frames; reports how many latents are done."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""Number formats of the network, by name."""


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model. digest: the SHA-256 over its files. device, dtype: what the network computes on and in.

    adapters: that are merged into the backbone, by folder and weight. hooks: that they need in force. tokens: words
    that name their subjects in prompts. streams: whether weights rest in the processor's memory while it edits.
    rests: whether all of it does in between, since its weights are more than what may be taken of the device's memory.
    """

    name: str
    folder: ModelFolder
    backbone: Backbone
    device: torch.device
    dtype: torch.dtype
    digest: str = field(repr=False)
    adapters: tuple[tuple[str, float], ...] = ()
    hooks: tuple[Hook, ...] = field(default=(), repr=False)
    tokens: frozenset[str] = frozenset()
    streams: bool = False
    rests: bool = False
    _extractors: dict[str, Extractor] = field(default_factory=dict, repr=False)
    _decoders: dict[str, TinyDecoder | None] = field(default_factory=dict, repr=False)

    @classmethod
    def loaded(
        cls,
        name: str = "pocket",
        *,
        device: str = "auto",
        dtype: str = "auto",
        adapters: Sequence[tuple[str, float]] = (),
        vram: float | str | None = None,
    ) -> "Model":
        """The model of a known name, or in a folder, with adapters of it in its network.

        vram: GiB of the device's memory that its weights may take, or `auto` for what is free; of more it rests.

        Raises WeightsError where it or an adapter is missing or damaged, RequestError for a device that is not there,
        an adapter of another model, or a weight that it cannot have.
        """
        folder = ModelFolder.found(name)
        where = chosen_device(device)
        number = chosen_dtype(dtype, where)
        files = [each for each in adapters if is_published(each[0])]
        own = [each for each in adapters if each not in files]
        read = [(read_adapter(path), weight) for path, weight in own]
        model_digest = digest(folder.path)
        for (path, _), (adapter, _) in zip(own, read, strict=True):
            _check_base(path, adapter, name, model_digest)
        bounded = vram is not None and where.type != "cpu"
        with quiet():
            backbone = BACKBONES[family_of(folder)](folder, device="cpu" if bounded else str(where), dtype=number)
        backbone, words = with_published(backbone, files)
        tuned = with_adapters(backbone, read)
        subjects = (adapter.info.subject for adapter, weight in read if weight)
        tokens = words | frozenset(subject["token"] for subject in subjects if subject)
        opened = cls(name, folder, tuned.backbone, where, number, model_digest, tuple(adapters), tuned.hooks, tokens)
        return opened if vram is None or not bounded else opened.within(given_bytes(vram, where))

    @classmethod
    def asked(cls, request: Request) -> "Model":
        """The model of a request. Raises what `loaded` raises."""
        how = {"device": request.device, "dtype": request.dtype, "adapters": request.adapters, "vram": request.vram}
        return cls.loaded(request.model, **how)

    def within(self, room: int) -> "Model":
        """Of a model that was opened on the processor: on its device if its weights fit, else as one that rests."""
        rests = streamed_bytes(self.backbone)[0] > room
        backbone = self.backbone if rests else moved(self.backbone, self.device)
        return replace(self, backbone=backbone, streams=rests, rests=rests)

    def in_force(self) -> AbstractContextManager[None]:
        """What its adapters need of attention is so inside the block."""
        return self.backbone.hooked(*self.hooks) if self.hooks else nullcontext()

    @contextmanager
    def placed(self) -> Iterator["Model"]:
        """The model as an edit takes it inside the block: its weights are where it finds them."""
        if self.rests:
            with visiting(self.backbone, self.device) as backbone:
                yield replace(self, backbone=backbone)
            return
        with streamed_weights(self.backbone, self.device) if self.streams else nullcontext():
            yield self

    @property
    def abilities(self) -> dict[str, object]:
        """What the model can do, in words and numbers."""
        return ModelAbilities.of(self.backbone, self.folder).facts

    def check_parts(self, request: Request) -> None:
        """Raises, before the work, what its decoder or compiler would: see `decode` and `check_compiled`."""
        self.decode(request.decoder)
        check_compiled(self.backbone, request.compiler)

    def decode(self, name: str) -> Decode:
        """What makes pictures of latents, own or tiny. Raises what `TinyDecoder.opened` raises."""
        if name == "own":
            return self.backbone.decode
        held = self.tiny_decoder
        return (held or TinyDecoder.opened(self.folder, self.backbone, device=self.device, dtype=self.dtype)).decode

    @property
    def tiny_decoder(self) -> TinyDecoder | None:
        """The tiny decoder of its latents, opened once; None where there is none on this disk."""
        if "tiny" not in self._decoders:
            self._decoders["tiny"] = TinyDecoder.here(self.folder, self.backbone, device=self.device, dtype=self.dtype)
        return self._decoders["tiny"]

    def extractor(self, kind: str) -> Extractor:
        """The structure extractor of that name, opened once.

        Raises WeightsError where the model has none, RequestError where there is none at all.
        """
        if kind not in self._extractors:
            check_structure(kind)
            self._extractors[kind] = EXTRACTORS[kind](self.folder, self.device)
        return self._extractors[kind]


def _check_base(path: str, adapter: Adapter, name: str, model_digest: str) -> None:
    base = adapter.info.base
    if base["digest"] != model_digest:
        raise RequestError(
            f"the adapter {path} was tuned on {base['name']} (SHA-256 {base['digest'][:12]}...), and {name} is another "
            f"model ({model_digest[:12]}...); say -m with the model that it was tuned on"
        )


def chosen_dtype(name: str, device: torch.device) -> torch.dtype:
    """The network's number format; `auto` is bfloat16 on CUDA, where it is as good and faster, else float32.

    Training measures what is faster on the processor at hand; edits do not, so that their bits are the same on a fast
    processor and a slow one.
    """
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return DTYPES[name]
