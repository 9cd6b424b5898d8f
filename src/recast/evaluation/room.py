"""Memory that an edit may take, kept to before it starts: what does not fit is done with less at once, and said."""

from recast.editing.checks import source_of, treated
from recast.editing.loaded import Model
from recast.editing.request import Request
from recast.editing.resolve import resolve
from recast.editing.short_memory import STREAMED, Attempt, with_less
from recast.engine.device import given_bytes, resident_bytes
from recast.errors import OutOfMemoryError
from recast.evaluation.edit_cost import EditCost, walk_of
from recast.evaluation.plan import expected_frames, segment_lengths
from recast.video.read import Source, opened

GIB = 2**30


def within(request: Request, model: Model) -> Attempt:
    """The edit as asked, or with as much less at once as `request.vram` calls for; nothing is computed for it.

    Of several ways the first that fits is taken: those that change nothing come before those that do.
    Raises OutOfMemoryError where no way fits, RequestError where the clip's length is not known.
    """
    why = f"vram is {_in_words(request)}"
    attempt = Attempt(request, model, (f"{why}: {STREAMED}",) if model.rests else (), why)
    if request.vram is None:
        return attempt
    source = treated(opened(source_of(request), request.on_damage), request)
    given = given_bytes(request.vram, model.device)
    while True:
        needed = needed_bytes(attempt, source)
        if needed <= given:
            return attempt
        following = with_less(attempt, source, expected_frames(resolve(attempt.request, attempt.model, source)))
        if following is None:
            raise OutOfMemoryError(
                f"this edit needs {needed / GIB:.2f} GiB at the least and has {given / GIB:.2f}; "
                "take a smaller --size, or fewer structures and terms of guidance"
            )
        attempt = following


def needed_bytes(attempt: Attempt, source: Source) -> int:
    """The most bytes that an attempt holds at once, by `EditCost`: of the device, or of this process."""
    resolved = resolve(attempt.request, attempt.model, source)
    longest = max(segment_lengths(resolved, expected_frames(resolved), [0]))
    walks = {longest: walk_of(resolved, attempt.model, longest)}
    return EditCost.of(resolved, attempt.model, walks).memory(longest, resident_bytes())


def _in_words(request: Request) -> str:
    return f"{request.vram:g} GiB" if isinstance(request.vram, float) else "what is free"
