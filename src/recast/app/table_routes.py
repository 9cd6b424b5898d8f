"""What the server can do, as tables: methods, settings, models; what is the matter with it; who is let in."""

import json
import threading
from dataclasses import asdict
from functools import cache
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from recast.app.abilities import Abilities
from recast.app.config import ServeConfig
from recast.app.guard import cookie_of
from recast.app.jobs import OWN, WITHOUT_SOURCE
from recast.app.making import Making, commanded
from recast.app.unchecked import Checks
from recast.errors import RequestError, known
from recast.files import write_synced

COOKIE_SECONDS = 30 * 24 * 3600
OWN_MODELS = {
    "pocket": "Gen-1 in 12 million weights, of recast's own world; words and pictures. Comes with recast",
    "pocket-words": "An image model of the same world that reads words, for editors that work by hooks. Comes too",
}
"""What the models of the package are, in a line."""


def add_tables(router: APIRouter, config: ServeConfig, making: Making, abilities: Abilities, checks: Checks) -> None:
    """Adds them."""
    _add_settings(router, checks)
    _add_models(router, abilities)
    _add_doctor(router, config, making)

    @router.post("/session", status_code=204)
    def session(response: Response) -> None:
        """Gives a browser that shows the token a cookie, because videos and events cannot be asked for with headers."""
        if config.token is not None:
            name, value = cookie_of(config)
            response.set_cookie(name, value, max_age=COOKIE_SECONDS, httponly=True, samesite="strict")


def _add_settings(router: APIRouter, checks: Checks) -> None:
    # Python 3.11 fails where two threads parse syntax at once, as descriptions of methods are found.
    alone = threading.Lock()

    @router.get("/methods")
    def methods() -> dict[str, dict[str, Any]]:
        """The methods: paper, what each does and needs, and its settings as a JSON Schema."""
        checks.are_there()
        with alone:
            return described_methods()

    @router.get("/settings")
    def settings() -> dict[str, Any]:
        """The settings that all edits have, as a JSON Schema."""
        from pydantic import TypeAdapter

        from recast.diffusion import SAMPLERS
        from recast.editing.request import Request
        from recast.video.cuts import DETECTORS

        checks.are_there()
        schema = TypeAdapter(Request).json_schema()
        for name in {*OWN, *WITHOUT_SOURCE, "schema_version", "knobs", "method"} & set(schema["properties"]):
            del schema["properties"][name]
        schema["properties"]["scheduler"]["enum"] = list(SAMPLERS)
        schema["properties"]["cuts"]["enum"] = list(DETECTORS)
        return schema


@cache
def described_methods() -> dict[str, dict[str, Any]]:
    """What methods say of themselves, by name, in JSON's types."""
    from pydantic import TypeAdapter

    from recast.diffusion.joins import JOINS
    from recast.methods import METHODS
    from recast.methods.pages import page

    described: dict[str, dict[str, Any]] = {}
    for name, method in METHODS.items():
        facts = json.loads(json.dumps(asdict(page(name)), default=str))
        schema = TypeAdapter(method).json_schema()
        for knob, held in schema.get("properties", {}).items():
            held["description"] = facts["settings"][knob]["about"]
        schema.get("properties", {}).get("guidance", {})["enum"] = list(JOINS)
        described[name] = facts | {"schema": schema}
    return described


def _add_models(router: APIRouter, abilities: Abilities) -> None:
    @router.get("/models")
    def models() -> list[str]:
        """The models that edits can name."""
        from recast.app.jobs import usable_models

        return usable_models()

    @router.get("/models/all")
    def all_models() -> list[dict[str, Any]]:
        """These, and the public ones that `recast models pull` brings: what each is, its licences and size."""
        from recast.app.jobs import usable_models
        from recast.model.folder import MODELS
        from recast.model.specs import SPECS

        here = usable_models()
        own = [{"name": name, "about": OWN_MODELS[name], "licences": ["Apache-2.0"], "here": True} for name in MODELS]
        public = [
            {"name": name, "about": spec.about, "licences": list(spec.licences), "gigabytes": spec.gigabytes}
            for name, spec in SPECS.items()
        ]
        return own + [each | {"here": each["name"] in here} for each in public]

    @router.get("/models/{name}/methods", response_model=None, responses={202: {}})
    def methods_of(name: str) -> dict[str, str] | JSONResponse:
        """Why the model cannot be edited by a method, "" where it can, by method; 202 while that is looked for."""
        from recast.app.jobs import usable_models

        refusals = abilities.refusals(known("model", name, usable_models()))
        return JSONResponse({"made": False}, 202, {"Retry-After": "1"}) if refusals is None else refusals


def _add_doctor(router: APIRouter, config: ServeConfig, making: Making) -> None:
    report = config.data / "doctor.json"

    @router.post("/doctor", status_code=202)
    def examine() -> dict[str, bool]:
        """Begins to look, as `recast doctor` does, in a process of its own."""
        report.unlink(missing_ok=True)
        making.is_made(report, _examined)
        return {"made": False}

    @router.get("/doctor", response_model=None, responses={202: {}})
    def found() -> dict[str, Any] | JSONResponse:
        """What was found; 202 while it looks. Raises RequestError where it was not asked to."""
        if making.is_being_made(report):
            return JSONResponse({"made": False}, 202, {"Retry-After": "1"})
        if report.exists():
            return json.loads(report.read_text("utf-8"))
        raise RequestError("there is no such report; POST /doctor begins one")

    def _examined() -> None:
        write_synced(report, commanded("doctor", "--json", may_fail=True))
