"""A browser shows the report: no complaint, nothing wider than a phone, light and dark. Skips without Chromium."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from posetrack_app.evaluation.posetrack import evaluate
from posetrack_app.evaluation.report import report_of
from posetrack_app.formats.annotations import JOINTS as NAMES

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome")

# Looks into the report in frames of several widths, opens and presses everything, and writes down what it found.
LOOK = """<!doctype html><meta charset="utf-8"><title>Look</title><body><script>
const look = (frame) => {
  const page = frame.contentDocument, root = page.documentElement, view = frame.contentWindow, seen = {errors: []};
  view.addEventListener('error', (event) => seen.errors.push(event.message));
  page.addEventListener('securitypolicyviolation', (event) => seen.errors.push(event.violatedDirective));
  const wide = () => [...page.querySelectorAll('body *')].filter((part) =>
    part.getBoundingClientRect().right > root.clientWidth + 1 && !part.closest('.scroll') && !part.matches('.skip')
  ).map((part) => part.tagName + '.' + part.getAttribute('class'));
  seen.closed = [root.scrollWidth, root.clientWidth];
  for (const part of page.querySelectorAll('details')) part.open = true;
  seen.open = [root.scrollWidth, root.clientWidth];
  seen.wide = wide();
  const column = (table, place) => [...table.tBodies[0].rows].map((row) => row.cells[place].textContent.trim());
  const table = [...page.querySelectorAll('table.sortable')].find((one) => one.caption.textContent.includes('MOTA)'));
  seen.before = column(table, 0);
  const heading = [...table.tHead.rows[0].cells].find((cell) => cell.textContent === 'Total');
  seen.sorted = [1, 2].map(() => {
    heading.querySelector('button').click();
    return [heading.getAttribute('aria-sort'), ...column(table, heading.cellIndex)];
  });
  table.tHead.querySelector('button').click();
  seen.after = column(table, 0);
  for (const button of page.querySelectorAll('th button')) button.click();
  seen.buttons = page.querySelectorAll('th button').length;
  seen.unreachable = [...page.querySelectorAll('.scroll')].filter((part) => part.tabIndex !== 0).length;
  seen.unnamed = [...page.querySelectorAll('svg:not([aria-hidden]), .scroll')].filter((part) =>
    !part.getAttribute('aria-label')).length;
  seen.pictures = [...page.images].map((image) => [image.complete, image.naturalWidth]);
  const style = view.getComputedStyle(page.body);
  seen.colours = [style.backgroundColor, style.color];
  seen.bar = page.querySelector('.total .bars').getBoundingClientRect().height;
  page.querySelector('summary').focus();
  seen.focused = page.activeElement.tagName;
  return seen;
};
addEventListener('load', async () => {
  const found = {};
  for (const width of [390, 1280]) {
    const frame = document.createElement('iframe');
    frame.style = `width:${width}px;height:900px;border:0`;
    frame.src = 'report.html';
    const loaded = new Promise((done) => { frame.onload = done; });
    document.body.append(frame);
    await loaded;
    for (const image of frame.contentDocument.images) { image.loading = 'eager'; await image.decode().catch(() => {}); }
    try { found[width] = look(frame); } catch (error) { found[width] = {failed: String(error)}; }
  }
  await fetch('/found', {method: 'POST', body: JSON.stringify(found)});
});
</script>"""


class Server(ThreadingHTTPServer):
    """The report, the page that looks into it, and what that sends home."""

    def __init__(self, report: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = {"/": LOOK.encode(), "/report.html": report}
        self.asked: list[str] = []
        self.found: queue.Queue[dict[str, Any]] = queue.Queue()

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser drops connections as it likes."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        content = self.server.pages.get(self.path, b"")
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.server.found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name of the method's own
        pass


def look(folder: Path, *, dark: bool) -> dict[str, Any]:
    """What a browser finds, by width of the window; that it says nothing in its console and asks for nothing more."""
    assert BROWSER
    switches = (
        "--headless --no-sandbox --disable-gpu --hide-scrollbars --disable-quic --no-first-run "
        "--disable-background-networking --disable-component-update --disable-sync --remote-debugging-port=0 "
        "--enable-logging=stderr "
        f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    )
    said = folder / "said.txt"
    with Server((folder / "report.html").read_bytes()) as server, said.open("w") as log:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/"
        process = subprocess.Popen(
            [BROWSER, *switches.split(), f"--user-data-dir={folder / 'profile'}", address],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            found = server.found.get(timeout=90)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # the group that it leads: its helpers go with it
            process.wait(timeout=30)
            server.shutdown()
            thread.join()
        assert set(server.asked) <= {"/", "/report.html", "/favicon.ico"}
    assert [line for line in said.read_text(errors="replace").splitlines() if "CONSOLE" in line] == []
    return found


def write(path: Path, frames: list[list[dict[str, Any]]]) -> None:
    path.parent.mkdir(exist_ok=True)
    images = [{"id": t, "file_name": f"{path.stem[:40]}/{t:06d}.jpg"} for t in range(len(frames))]
    people = [{"image_id": t, **someone} for t, frame in enumerate(frames) for someone in frame]
    categories = [{"name": "person", "keypoints": list(NAMES)}]
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": categories}))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of a few sequences, one with a name as long as names can be, with pictures."""
    folder, random = tmp_path_factory.mktemp("report"), np.random.default_rng(0)
    names = ["000001_mpii_test", "000002_mpii_test", "x" * 200, "<b>000003 & a name in several words"]
    for level, name in enumerate(names):
        truth: list[list[dict[str, Any]]] = []
        seen: list[list[dict[str, Any]]] = []
        for t in range(12):
            points = np.concatenate([random.uniform(20, 300, (5, 17, 2)), np.ones((5, 17, 1))], axis=2)
            ids = [n + 1000 * int(random.random() < 0.1 * level) for n in range(5)]
            truth.append(
                [
                    {"track_id": n, "keypoints": points[n].ravel().tolist(), "bbox_head": [0, 0, 30, 40]}
                    for n in range(5)
                ]
            )
            points[random.random((5, 17)) < 0.1 * (1 + level), :2] += 200
            seen.append([{"track_id": ids[n], "keypoints": points[n].ravel().tolist()} for n in range(5)])
            (folder / "images" / name[:40]).mkdir(parents=True, exist_ok=True)
            picture = cv2.resize(random.integers(0, 255, (9, 16, 3)).astype(np.uint8), (320, 180))
            cv2.imwrite(str(folder / "images" / name[:40] / f"{t:06d}.jpg"), picture)
        write(folder / "gt" / f"{name}.json", truth)
        write(folder / "pred" / f"{name}.json", seen)
    evaluation = evaluate(folder / "gt", folder / "pred", protocol="strict", timelines=True)
    html = report_of(evaluation, folder / "gt", folder / "pred", images=folder / "images")
    (folder / "report.html").write_text(html, encoding="utf-8")
    return folder


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)` (WCAG 2.2)."""
    values = np.array([int(number) for number in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_a_browser_shows_it(folder: Path) -> None:
    found = look(folder, dark=False)
    assert set(found) == {"390", "1280"}
    for width, seen in found.items():
        assert seen.get("failed") is None, seen
        assert seen["errors"] == []
        assert seen["closed"] == seen["open"] == [int(width), int(width)]
        assert seen["wide"] == []
        assert seen["unreachable"] == seen["unnamed"] == 0
        assert len(seen["pictures"]) == 24
        assert all(done and wide == 320 for done, wide in seen["pictures"])
        assert seen["bar"] > 10
        assert seen["focused"] == "SUMMARY"
        falling, rising = seen["sorted"]
        numbers = [float(text) for text in falling[1:]]
        assert falling[0] == "descending"
        assert rising[0] == "ascending"
        assert numbers == sorted(numbers, reverse=True)
        assert len(set(numbers)) == 4
        assert rising[1:] == falling[:0:-1]
        assert sorted(seen["after"]) == sorted(seen["before"])
        assert seen["buttons"] > 40


def test_light_and_dark(folder: Path) -> None:
    for dark in (False, True):
        found = look(folder, dark=dark)
        paper, ink = (luminance(colour) for colour in found["390"]["colours"])
        assert (paper < ink) == dark
        assert (max(paper, ink) + 0.05) / (min(paper, ink) + 0.05) > 7  # WCAG AAA
