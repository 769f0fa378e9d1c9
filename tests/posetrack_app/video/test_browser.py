"""A browser plays what was written: duration, size, colours, sound. Skips where there is no Chromium."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from posetrack_app.video.writer import VideoWriter

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome")

PAGE = """<!doctype html><meta charset="utf-8"><title>Videos</title><body><script>
// Plays the videos one after the other to their end and sends home what it saw.
async function look(name) {
  const video = document.createElement('video'), seen = {name};
  video.muted = true;
  video.src = name;
  document.body.append(video);
  const event = (what) => new Promise((done) => video.addEventListener(what, done, {once: true}));
  const failed = event('error').then(() => { throw video.error.message; });
  try {
    const ended = event('ended'), playing = event('playing');
    await Promise.race([video.play(), failed]);
    await Promise.race([playing, failed]);
    seen.started = video.currentTime;
    await Promise.race([ended, failed]);
    Object.assign(seen, {ended: video.currentTime, duration: video.duration, width: video.videoWidth,
      height: video.videoHeight, frames: video.getVideoPlaybackQuality().totalVideoFrames,
      audio: video.webkitAudioDecodedByteCount});
    const seeked = event('seeked');
    video.currentTime = video.duration - 0.3;
    await Promise.race([seeked, failed]);
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0);
    seen.pixels = [...context.getImageData(0, 0, canvas.width, canvas.height).data];
  } catch (error) { seen.error = String(error); }
  return seen;
}
(async () => {
  const found = [];
  for (const name of NAMES) found.push(await look(name));
  await fetch('/found', {method: 'POST', body: JSON.stringify(found)});
})();
</script>"""


class Server(ThreadingHTTPServer):
    """The page, the files of a folder, and what the page sends home."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.page = PAGE.replace("NAMES", json.dumps(names)).encode()
        self.found: queue.Queue[list[dict[str, Any]]] = queue.Queue()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser drops connections as it likes."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        file = self.server.folder / self.path[1:]
        content = file.read_bytes() if file.is_file() else self.server.page
        total, status = len(content), 200
        wanted = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted:
            first, last = int(wanted[1]), int(wanted[2] or total - 1)
            content, status = content[first : last + 1], 206
        self.send_response(status)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{first + len(content) - 1}/{total}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Type", "video/mp4" if file.is_file() else "text/html")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.server.found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the method's own
        pass


@contextmanager
def browser(address: str, profile: Path) -> Iterator[None]:
    """A headless browser at an address, with a profile of its own."""
    assert BROWSER
    switches = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --remote-debugging-port=0 "
        "--autoplay-policy=no-user-gesture-required"
    )
    process = subprocess.Popen(
        [BROWSER, *switches.split(), f"--user-data-dir={profile}", address],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # the group that it leads: its helpers go with it
        process.wait(timeout=30)


def look(folder: Path, names: list[str], profile: Path) -> list[dict[str, Any]]:
    """What a browser finds when it plays these files."""
    with Server(folder, names) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with browser(f"http://127.0.0.1:{server.server_port}/", profile):
                return server.found.get(timeout=90)
        finally:
            server.shutdown()
            thread.join()


PATCHES: npt.NDArray[np.uint8] = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[250, 250, 250], [128, 128, 128], [200, 180, 40]]], dtype=np.uint8
)


def test_a_browser_plays_it(tmp_path: Path) -> None:
    """With sound, odd in size, starting late, starting before zero: each to its end, in the right colours."""
    with wave.open(str(tmp_path / "tone.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(44_100)
        sound.writeframes((8000 * np.sin(np.arange(44_100) * 0.06)).astype("<i2").tobytes())
    clips: dict[str, dict[str, Any]] = {
        "sound.mp4": {"audio_from": tmp_path / "tone.wav"},
        "odd.mp4": {"width": 191, "height": 127},
        "late.mp4": {"first": 2.5},
        "negative.mp4": {"first": -1.0},
        "stepped.mp4": {"step": 0.15},
    }
    for name, options in clips.items():
        first, step = options.pop("first", 0.0), options.pop("step", 0.04)
        size = {"width": 192, "height": 128} | options
        image = PATCHES.repeat(64, axis=0).repeat(64, axis=1)[: size["height"], : size["width"]]
        with VideoWriter(tmp_path / name, rate=1 / Fraction(step).limit_denominator(100), **size) as writer:
            for index in range(round(1 / step)):
                writer.write(image, first + index * step)
        assert writer.warnings == []
        clips[name] = {"duration": max(first, 0) + round(1 / step) * step, "frames": round(1 / step)}
    found = look(tmp_path, list(clips), tmp_path / "profile")
    assert [seen["name"] for seen in found] == list(clips)
    for seen in found:
        expected = clips[seen["name"]]
        assert "error" not in seen, seen
        # Chrome takes a last frame off the duration where the start is late.
        assert seen["duration"] == pytest.approx(expected["duration"], abs=0.05), seen["name"]
        assert seen["ended"] == pytest.approx(seen["duration"], abs=0.01)
        assert 0 <= seen["started"] < seen["ended"]
        assert seen["frames"] >= expected["frames"] - 1
        assert (seen["width"], seen["height"]) == (192, 128)
        assert (seen["audio"] > 0) == (seen["name"] == "sound.mp4")
        pixels = np.array(seen["pixels"]).reshape(128, 192, 4)[32::64, 32::64, :3]
        # Without a GPU Chrome's library converts with short coefficients: saturated blue is 243 where it should be 255.
        # A wrong matrix or range would be off by more than 15.
        np.testing.assert_allclose(pixels, PATCHES, atol=13)
