"""`recast models`: the models that come with recast."""

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
