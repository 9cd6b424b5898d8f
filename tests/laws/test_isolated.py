"""What a user brings is decoded in a process that can open nothing, holds little, and is ended when it must be."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from video_files import noise

from recast.errors import MediaError
from recast.video import children, isolated, messages
from recast.video.read import Window, frames, opened
from recast.video.shown import shown_video
from recast.video.source import OnDamage, Source

TRICKS = Path(__file__).parents[1] / "fuzz"


@pytest.fixture
def tricks(monkeypatch):
    monkeypatch.syspath_prepend(str(TRICKS))
    import tricks

    return tricks


def child_of(server) -> set[int]:
    children = Path(f"/proc/{server._process.pid}/task/{server._process.pid}/children")
    return {int(each) for each in children.read_text().split()}


@pytest.mark.parametrize("window", [Window(), Window(start=0.3, end=0.9), Window(max_frames=3)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_frames_are_those_that_are_decoded_in_this_process(tmp_path, name, window):
    source = opened(noise(tmp_path / name, 30, "mpeg4"))
    with source.path.open("rb") as file:
        inside = list(shown_video(source, window, file))
    outside = list(isolated.shown(source, window))
    assert len(inside) == len(outside) > 1
    for one, other in zip(inside, outside, strict=True):
        assert (one.pts, one.index, one.duration) == (other.pts, other.index, other.duration)
        assert np.array_equal(one.image, other.image)


def test_a_reader_that_stops_early_leaves_no_process_behind(tmp_path):
    source = opened(noise(tmp_path / "a.mp4", 200))
    before = child_of(isolated._server)
    reading = frames(source, Window())
    next(reading)
    assert child_of(isolated._server) - before
    reading.close()
    for _ in range(200):
        if not child_of(isolated._server) - before:
            return
        time.sleep(0.05)
    pytest.fail("the decoding process is still there")


def test_a_decoder_that_is_killed_is_an_error_and_the_next_file_is_read(tmp_path):
    source = opened(noise(tmp_path / "a.mp4", 400))
    before = child_of(isolated._server)
    reading = frames(source, Window())
    next(reading)
    (child,) = child_of(isolated._server) - before
    os.kill(child, signal.SIGSEGV)
    with pytest.raises(MediaError, match="decoding broke off"):
        list(reading)
    os.kill(isolated._server._process.pid, signal.SIGKILL)
    isolated._server._process.wait()
    assert sum(1 for _ in frames(opened(source.path), Window(max_frames=5))) == 5


def test_a_decoder_that_says_nothing_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(children, "STALL_SECONDS", 0.1)
    reading, writing = os.pipe()
    with pytest.raises(TimeoutError, match="nothing came"):
        children.Pipe(reading).read(4)
    os.close(writing)
    with pytest.raises(EOFError):
        children.Pipe(reading).read(4)
    os.close(reading)


@pytest.mark.parametrize(
    "sent",
    [
        messages.HEAD.pack(messages.SOURCE, 2**31),
        messages.HEAD.pack(messages.SOURCE, 2) + b"{}",
        messages.HEAD.pack(messages.ERROR, 13) + b'["OSError",1]',
        messages.HEAD.pack(messages.ERROR, 1) + b"x",
        messages.HEAD.pack(messages.END, 0),
        b"F\0",
    ],
)
def test_what_a_decoder_sends_is_data_and_may_be_wrong(tmp_path, monkeypatch, sent):
    reading, writing = os.pipe()
    os.write(writing, sent)
    os.close(writing)
    monkeypatch.setattr(isolated, "only", lambda errand, kind: only(errand.path, reading, kind))
    with pytest.raises(MediaError):
        isolated.probe(tmp_path, OnDamage.FAIL)
    os.close(reading)


def only(path: Path, pipe: int, kind: bytes):
    (body,) = [body for each, body in isolated._checked(path, children.Pipe(pipe), 2**24) if each == kind]
    return body


def test_a_child_can_open_no_file_and_no_socket(tmp_path):
    # What a decoder that was taken over could try, in a process limited as a child is.
    code = (
        "import os, socket; from recast.video import limits\n"
        "file, pipe = os.open('a', os.O_RDONLY), os.open('b', os.O_WRONLY)\n"
        "limits.settled(file, pipe)\n"
        "for attempt in (lambda: os.open('/etc/passwd', os.O_RDONLY), socket.socket, os.pipe, lambda: os.dup(0)):\n"
        "    try: attempt(); os._exit(7)\n"
        "    except OSError as error: os.write(4, f'{error.errno} '.encode())\n"
        "try: os.write(os.dup2(4, 4), b'') and os._exit(8)\n"
        "finally: os._exit(0)\n"
    )
    (tmp_path / "a").touch()
    reading, writing = os.pipe()
    code = code.replace("os.open('b', os.O_WRONLY)", str(writing))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, pass_fds=[writing], check=False)
    os.close(writing)
    assert (done.returncode, os.read(reading, 100)) == (0, b"24 24 24 24 ")  # EMFILE, each time
    os.close(reading)


def test_no_trick_reaches_another_file_or_a_socket(tmp_path, tricks):
    secret = noise(tmp_path / "secret.mp4", 3)
    os.utime(secret, ns=(0, secret.stat().st_mtime_ns))
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.2)
        port = server.getsockname()[1]
        tried = [*tricks.names(secret, port)]
        for name, text in tricks.texts(secret, port).items():
            (tmp_path / name).write_text(text)
            tried.append(str(tmp_path / name))
        for path in tried:
            with pytest.raises(MediaError):
                opened(path)
        with pytest.raises(TimeoutError):
            server.accept()
    assert len(tried) >= 30
    assert secret.stat().st_atime_ns == 0


def test_bombs_are_refused_in_little_memory(tmp_path, tricks):
    opened(noise(tmp_path / "whole.mp4", 3))  # the server is there
    for name, make in tricks.BOMBS.items():
        path, before = make(tmp_path), peak_bytes()
        with pytest.raises(MediaError):
            list(frames(opened(path), Window(max_frames=2)))
        assert peak_bytes() - before < 2**26, name


def peak_bytes() -> int:
    """The most that this process had in memory."""
    import resource

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_sources_and_damage_come_through_as_they_were(tmp_path):
    found = opened(noise(tmp_path / "a.mkv", 5))
    again = messages.source_from_json(messages.source_to_json(found))
    assert isinstance(again, Source)
    assert {**vars(again), "damage": 0} == {**vars(found), "damage": 0}
