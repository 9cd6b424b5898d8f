"""What is wrong with the schedules of an edit that is being prepared, to be shown beside each."""

from fractions import Fraction

from fastapi import APIRouter

from recast.app.files import UserFile, UserFiles
from recast.app.jobs import JobRequest, check_schedule_files, usable_models
from recast.app.unchecked import Checks
from recast.errors import RecastError, RequestError, known


def add_schedules(router: APIRouter, files: UserFiles, checks: Checks) -> None:
    """Adds the question that a form asks while it is filled in."""

    @router.post("/schedules")
    def scheduled(asked: JobRequest) -> dict[str, str]:
        """What is wrong with the schedules of an edit that is being prepared, by setting."""
        checks.are_there()
        return wrong_schedules(asked, files.facts(asked.source))


def wrong_schedules(asked: JobRequest, source: UserFile) -> dict[str, str]:
    """Errors by setting. source: the clip, for whose frames the keys are.

    Raises RequestError where the schedules are no texts by setting.
    """
    from recast.editing.changing import check_schedules
    from recast.editing.request import Request
    from recast.editing.schedules import SCHEDULED

    schedules = asked.settings.get("schedules", {})
    if not (isinstance(schedules, dict) and all(isinstance(text, str) for text in schedules.values())):
        raise RequestError('schedules are texts by setting, as {"cfg": "0: 2, 48: 6"}')
    model = known("model", asked.model, usable_models())
    plain = {name: asked.settings.get(name) for name in SCHEDULED} | {"words": asked.prompt, "prompt": asked.prompt}
    errors: dict[str, str] = {}
    for name, text in schedules.items():
        given = {name: plain[name]} if plain.get(name) not in (None, []) else {}
        method = asked.settings.get("method", "auto")
        try:
            check_schedule_files({name: text})
            request = Request.asked(**given, model=model, method=method, schedules={name: text})
            check_schedules(request, Fraction(source.fps or 1))
        except RecastError as error:
            errors[name] = str(error)
    return errors
