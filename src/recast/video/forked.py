"""The process that decodes what a user brings: started once, it forks a child for each file, and kills it when told.

`python -m recast.video.forked HANDLE`, where HANDLE is a socket to the process that asks. A request comes with three
open handles: the file, a pipe for the answer, and a pipe whose end means that nobody waits any more. All that a child
needs is imported before the first fork, because a child can open nothing (`recast.video.limits`).
"""

import importlib
import os
import pkgutil
import select
import signal
import socket
import sys
from array import array
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import BufferedReader

import av
import numpy as np
from PIL import Image

from recast.errors import MediaError, RequestError
from recast.video import messages
from recast.video.about import about
from recast.video.container import SOUND_FORMATS, demuxing, reported, video_stream
from recast.video.limits import FILE, PIPE, Limits, settled
from recast.video.messages import Errand
from recast.video.pictures import animation, luma_or_alpha, picture_facts, picture_in, upright_rgb, upright_rgba
from recast.video.probe import probed
from recast.video.shown import Shown, shown_video
from recast.video.tracks import DAMAGED_TRACK, part_to_bytes, parts_of
from recast.video.waveform import waveform_in

MOST_REQUEST_BYTES = 2**20


def main(channel: socket.socket) -> None:
    """Forks a child for each request, until the other side is gone."""
    children: dict[int, int] = {}
    waiting = select.poll()
    waiting.register(channel, select.POLLIN)
    while True:
        for handle, _ in waiting.poll():
            if handle != channel.fileno():
                waiting.unregister(handle)
                os.close(handle)
                _ended(children.pop(handle))
                continue
            request, handles = _received(channel)
            if len(handles) != 3:
                for child in children.values():
                    _ended(child)
                return
            file, pipe, lifeline = handles
            children[lifeline] = _forked(request, file, pipe, [channel.fileno(), *children, lifeline])
            waiting.register(lifeline, 0)  # a hang-up is always told


def _received(channel: socket.socket) -> tuple[bytes, list[int]]:
    size = array("i").itemsize
    data, attached, _, _ = channel.recvmsg(4, socket.CMSG_SPACE(3 * size))
    handles = array("i")
    for _, _, held in attached:
        handles.frombytes(held[: len(held) - len(held) % size])
    if len(data) < 4:
        return b"", []
    length, request = int.from_bytes(data, "little"), b""
    while len(request) < min(length, MOST_REQUEST_BYTES):
        block = channel.recv(length - len(request))
        if not block:
            return b"", []
        request += block
    return request, list(handles)


def _ended(child: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(child, 0)


def _forked(request: bytes, file: int, pipe: int, foreign: list[int]) -> int:
    """The number of a child that answers the request."""
    child = os.fork()
    if child:
        os.close(file)
        os.close(pipe)
        return child
    try:
        for handle in foreign:
            os.close(handle)
        with suppress(BrokenPipeError, MemoryError):  # nobody reads any more; who waits sees the pipe end
            _answer(request, file, pipe)
    finally:
        os._exit(0)
    return 0


def _answer(request: bytes, file: int, pipe: int) -> None:
    limits = settled(file, pipe)
    errand = messages.errand_from_json(request)
    try:
        with os.fdopen(FILE, "rb", closefd=False) as held, reported(errand.path):
            ANSWERS[errand.what](errand, held, limits)
    except (MediaError, RequestError) as error:
        if isinstance(error.__cause__, MemoryError):
            error = MediaError(
                f"the file takes more memory than pictures of its size need; it is damaged: {errand.path}"
            )
        if errand.source is not None:
            messages.send(PIPE, messages.DAMAGE, messages.damage_to_json(errand.source.damage))
        messages.send(PIPE, messages.ERROR, messages.error_to_json(error))
        return
    messages.send(PIPE, messages.END)


def _probe(errand: Errand, file: BufferedReader, limits: Limits) -> None:
    with demuxing(errand.path, file) as container:
        stream = video_stream(container, errand.path)
        limits.for_pixels(stream.codec_context.width * stream.codec_context.height)
        found = probed(errand.path, container, stream)
    found.damage.reported = limits.errors()
    messages.send(PIPE, messages.SOURCE, messages.source_to_json(found))


def _comment(errand: Errand, file: BufferedReader, _limits: Limits) -> None:
    with demuxing(errand.path, file) as container:
        found = next((text for key, text in container.metadata.items() if key.lower() == "comment"), "")
    messages.send(PIPE, messages.COMMENT, found.encode("utf-8", errors="replace"))


def _sound(errand: Errand, file: BufferedReader, _limits: Limits) -> None:
    with demuxing(errand.path, file, SOUND_FORMATS) as container:
        for start, samples in waveform_in(container, errand.path):
            messages.send(PIPE, messages.SOUND, messages.BEGUN.pack(start) + samples.tobytes())


def _about(errand: Errand, file: BufferedReader, _limits: Limits) -> None:
    with demuxing(errand.path, file) as container:
        messages.send(PIPE, messages.ABOUT, messages.about_to_json(about(container)))


def _track(errand: Errand, file: BufferedReader, _limits: Limits) -> None:
    assert errand.wanted is not None
    with demuxing(errand.path, file) as container, reported(errand.path, DAMAGED_TRACK):
        for part in parts_of(container, errand.wanted, partial(messages.send, PIPE, messages.TICK)):
            messages.send(PIPE, messages.PART, part_to_bytes(part))


def _frames(errand: Errand, file: BufferedReader, limits: Limits) -> None:
    source = errand.source
    assert source is not None
    limits.for_pixels(source.size[0] * source.size[1])
    for shown in shown_video(
        source, errand.window, file, errors=limits.errors, tick=partial(messages.send, PIPE, messages.TICK)
    ):
        messages.send_frame(PIPE, shown)
    messages.send(PIPE, messages.DAMAGE, messages.damage_to_json(source.damage))


def _facts(errand: Errand, file: BufferedReader, limits: Limits) -> None:
    with picture_in(file, errand.path, errand.kinds) as picture:
        limits.for_pixels(picture.width * picture.height)
        messages.send(PIPE, messages.FACTS, messages.facts_to_json(picture_facts(picture, file)))


def _picture(errand: Errand, file: BufferedReader, limits: Limits) -> None:
    with picture_in(file, errand.path, errand.kinds) as picture:
        limits.for_pixels(picture.width * picture.height)
        messages.send_frame(PIPE, Shown(upright_rgba(picture), 0, 0, 0))


def _still(errand: Errand, file: BufferedReader, limits: Limits) -> None:
    with picture_in(file, errand.path, errand.kinds) as picture:
        limits.for_pixels(picture.width * picture.height)
        messages.send_frame(PIPE, Shown(upright_rgb(picture, alpha=errand.alpha), 0, 0, 0))


def _animation(errand: Errand, file: BufferedReader, limits: Limits) -> None:
    with picture_in(file, errand.path, errand.kinds) as picture:
        limits.for_pixels(picture.width * picture.height)
        for frame in animation(picture, alpha=errand.alpha):
            messages.send_frame(PIPE, frame)


def _mask(errand: Errand, file: BufferedReader, limits: Limits) -> None:
    with picture_in(file, errand.path, errand.kinds) as picture:
        limits.for_pixels(picture.width * picture.height)
        plane = np.ascontiguousarray(luma_or_alpha(picture))
    messages.send_frame(PIPE, Shown(plane[..., None].view(np.uint8), 0, 0, 0))


ANSWERS: dict[str, Callable[[Errand, BufferedReader, Limits], None]] = {
    "probe": _probe,
    "frames": _frames,
    "comment": _comment,
    "facts": _facts,
    "picture": _picture,
    "still": _still,
    "animation": _animation,
    "mask": _mask,
    "sound": _sound,
    "about": _about,
    "track": _track,
}

if __name__ == "__main__":
    for module in pkgutil.walk_packages(av.__path__, "av."):  # PyAV imports some of its parts when they are first met
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    Image.init()  # as Pillow its readers
    main(socket.socket(fileno=int(sys.argv[1])))
