"""`recast models`: models by name, what is known of each, and bringing them here; the adapters in a folder."""

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from recast.cli.flags import Json
from recast.cli.lists import list_models
from recast.cli.table import tell, visible
from recast.errors import RequestError, WeightsError, known

if TYPE_CHECKING:
    from recast.model.pulled import PlannedFile
    from recast.model.spec_parts import ModelSpec

Name = Annotated[str, typer.Argument(metavar="NAME", help="A model by name.")]
NameOrFolder = Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A model by name, or its folder.")]


class _ListByDefault(TyperGroup):
    """`recast models FOLDER` is `recast models ls FOLDER`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- click's own type
        first = args[0] if args else ""
        return super().parse_args(ctx, args if first in {*self.commands, "-h", "--help"} else ["ls", *args])


models = typer.Typer(
    name="models",
    cls=_ListByDefault,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="List models and adapters, and bring public weights here by name.",
)
models.command("ls")(list_models)


@models.command()
def info(name: NameOrFolder, *, as_json: Json = False) -> None:
    """Tell what a model is and what it can do: parts, repositories, licences, size; of one that is here, its own."""
    from recast.model.folder import MODELS
    from recast.model.pulled import is_pulled
    from recast.model.specs import SPECS

    facts = _spec_facts(name, SPECS[name]) if name in SPECS else {}
    opened = name in MODELS or name not in SPECS or is_pulled(name)
    facts |= _abilities(name) if opened else _expected_abilities(SPECS[name])
    print(json.dumps(facts)) if as_json else tell(facts)


@models.command()
def pull(
    name: Name,
    *,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Fetch it, licence and size being known.")] = False,
) -> None:
    """Show licences and sizes of a model's files, ask, and bring them; nothing else of recast fetches anything."""
    from recast.model.pulled import planned
    from recast.model.pulled import pull as pulled

    spec = _spec(name)
    files = planned(spec)
    _tell_plan(name, spec, files)
    if not yes and not (sys.stdin.isatty() and typer.confirm("fetch these, under these licences?", err=True)):
        raise RequestError("nothing was fetched; say --yes to fetch it")
    folder = pulled(name, spec, files, lambda file: print(visible(f"{file.name} ({file.repo})"), file=sys.stderr))
    print(visible(str(folder)))


@models.command("import")
def import_file(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A .safetensors checkpoint, or a single part."),
    ],
    *,
    target: Annotated[Path, typer.Option("-o", metavar="FOLDER", help="The model folder to write.")],
    like: Annotated[
        str, typer.Option("--like", metavar="NAME|FOLDER", help="The model whose other parts it gets.")
    ] = "sd15",
) -> None:
    """Make a model folder of a file: a checkpoint's networks, or one part, and all else of another model."""
    from recast.backbones.stable_diffusion.single_file import import_checkpoint
    from recast.model.folder import ModelFolder

    if target.exists():
        raise RequestError(f"{target} is already there; choose another name with -o")
    import_checkpoint(file, ModelFolder.found(like), target)
    print(visible(str(target)))


@models.command()
def verify(name: Name) -> None:
    """Compare the files of a pulled model with what came, by SHA-256."""
    from recast.model.folder import ModelFolder
    from recast.model.pulled import changed_files, folder_of

    _spec(name)
    if not folder_of(name).is_dir():
        ModelFolder.found(name)
    wrong = changed_files(folder_of(name))
    if wrong:
        raise WeightsError(f"{name}: {'; '.join(wrong)}; `recast models pull {name}` brings it again")
    print(visible(f"{name}: every file is as it came"), file=sys.stderr)


@models.command()
def rm(name: Name) -> None:
    """Remove a pulled model's folder; files stay in the cache of huggingface_hub, which other programs share."""
    from recast.model.pulled import folder_of, is_pulled

    _spec(name)
    if not is_pulled(name):
        raise RequestError(f"{name} is not here; `recast models ls` lists what is")
    shutil.rmtree(folder_of(name))
    print(visible(f"{folder_of(name)}: removed; `hf cache` frees the files"), file=sys.stderr)


@models.command()
def path(name: NameOrFolder) -> None:
    """Print the folder of a model that is here."""
    from recast.model.folder import ModelFolder

    print(visible(str(ModelFolder.found(name).path)))


def _spec(name: str) -> "ModelSpec":
    from recast.model.folder import MODELS
    from recast.model.specs import SPECS

    if name in MODELS:
        raise RequestError(f"{name} comes with recast, so it is neither pulled, verified nor removed")
    return SPECS[known("model to pull", name, SPECS)]


def _spec_facts(name: str, spec: "ModelSpec") -> dict[str, object]:
    from recast.model.pulled import folder_of, is_pulled

    return {
        "model": f"{name}: {spec.about}",
        "licences": list(spec.licences),
        "size": f"about {spec.gigabytes:g} GB",
        "from": [f"{' or '.join(part.repos)} ({part.licence})" for part in spec.parts],
        "here": str(folder_of(name)) if is_pulled(name) else f"no; recast models pull {name}",
        **({"note": spec.note} if spec.note else {}),
    }


def _expected_abilities(spec: "ModelSpec") -> dict[str, object]:
    from recast.backbones.abilities import abilities_of_spec
    from recast.backbones.families import use_of

    return abilities_of_spec(spec).facts if spec.edits else {"can": f"{use_of(spec.components)}, and no edits"}


def _abilities(name: str) -> dict[str, object]:
    from recast.backbones.families import use_besides
    from recast.editing.loaded import Model
    from recast.model.folder import ModelFolder

    folder = ModelFolder.found(name)
    if use := use_besides(folder):
        return {"can": f"{use}, and no edits"}
    return Model.loaded(name).abilities


def _tell_plan(name: str, spec: "ModelSpec", files: list["PlannedFile"]) -> None:
    total = sum(file.size for file in files)
    tell({"licences": list(spec.licences), "size": f"{total / 1e9:.2f} GB in {len(files)} files"}, title=name)
    for file in files:
        digest = f", SHA-256 {file.sha256[:12]}..." if file.sha256 else ""
        print(visible(f"{file.target:<52} {file.size / 1e6:9.2f} MB  {file.repo} {file.revision[:8]}{digest}"))
