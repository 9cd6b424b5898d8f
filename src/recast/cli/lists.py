"""`recast models` and `recast methods`: the models and methods that can be chosen."""

import inspect
import json

from recast.cli.flags import Json
from recast.cli.table import tell


def models(*, as_json: Json = False) -> None:
    """List the models that come with recast."""
    from recast.errors import WeightsError
    from recast.model.folder import MODELS, ModelFolder

    listed: dict[str, object] = {}
    for name in MODELS:
        try:
            folder = ModelFolder.found(name)
        except WeightsError as error:
            listed[name] = f"not here: {error}"
            continue
        size = sum(file.stat().st_size for file in folder.path.rglob("*") if file.is_file())
        listed[name] = f"{size / 1e6:.1f} MB, short side {folder.metadata.short_side} px, {folder.path}"
    print(json.dumps(listed)) if as_json else tell(listed)


def methods(*, as_json: Json = False) -> None:
    """List the methods and their own settings, which --set KEY=VALUE sets."""
    from recast.editing.request import knobs_of
    from recast.methods import METHODS

    listed = {
        name: {
            "about": (inspect.getdoc(method) or "").splitlines()[0],
            "settings": {knob: str(default) for knob, default in knobs_of(name).items()},
        }
        for name, method in METHODS.items()
    }
    if as_json:
        print(json.dumps(listed))
        return
    for name, method in listed.items():
        tell({"about": method["about"], **method["settings"]}, title=name)
