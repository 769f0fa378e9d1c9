"""A headless browser that opens a page from disk and answers questions about it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """Chromium over its debugging pipe: JSON messages that end in a zero byte."""

    def __init__(self, profile: Path) -> None:
        assert BROWSER
        read_theirs, self._write = os.pipe()
        self._read, write_theirs = os.pipe()
        switches = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
            "--disable-background-networking --disable-component-update --disable-sync --remote-debugging-pipe "
            "--autoplay-policy=no-user-gesture-required"
        )

        def place() -> None:
            # The pipe is at 3 and 4 by agreement; the ends may be just there, the other way round.
            ends = os.dup(read_theirs), os.dup(write_theirs)
            copies = [os.dup2(end, 60 + n) for n, end in enumerate(ends)]
            for n, copy in enumerate(copies):
                os.dup2(copy, 3 + n)

        self._process = subprocess.Popen(
            [BROWSER, *switches.split(), f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, close_fds=False, preexec_fn=place,
        )  # fmt: skip
        os.close(read_theirs)
        os.close(write_theirs)
        self._alarm = threading.Timer(120, self._kill)
        self._alarm.start()
        self._buffer = b""
        self._number = 0
        self.complaints: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self._alarm.cancel()
        self._kill()
        self._process.wait(timeout=30)
        os.close(self._read)
        os.close(self._write)

    def _kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # the group that it leads: its helpers go with it

    def _call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": session} if session else {}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _message(self) -> Any:
        while b"\0" not in self._buffer:
            more = os.read(self._read, 1 << 20)
            assert more, "the browser is gone"
            self._buffer += more
        text, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(text)
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"].get("exception", parameters)))
        if method == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])
        if method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith(("file:", "blob:", "data:", "about:")):
                self.complaints.append(f"asks for {url}")
        return message

    def call(self, method: str, **parameters: Any) -> Any:
        return self._call(method, self._session, **parameters)

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open a page from disk and wait until it says that it is ready."""
        self._alarm.cancel()
        self._alarm = threading.Timer(120, self._kill)  # a browser that hangs ends the read, and so the test
        self._alarm.start()
        self.ask("window.view && (view.saved = Infinity)")  # or it asks whether to leave edits behind
        self.complaints.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("document.body?.dataset.state && (document.body.dataset.state !== 'ready' || view.ready)")
        assert self.ask("document.body.dataset.state") == "ready", self.complaints

    def ask(self, expression: str) -> Any:
        """The value of an expression on the page."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, *, seconds: float = 15) -> None:
        """Wait until an expression is true."""
        code = f"""new Promise((done) => {{
          const until = performance.now() + {1000 * seconds};
          const look = () => {{
            let held = false;
            try {{ held = !!({condition}); }} catch {{ }}
            if (held || performance.now() > until) done(held); else setTimeout(look, 20);
          }};
          look();
        }})"""
        for _ in range(2):  # a page that is left while it is asked answers nothing
            answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
            if answer["result"].get("value") is True:
                return
        raise AssertionError(f"{condition} does not come true; {self.complaints}")

    def key(self, key: str, *, modifiers: int = 0) -> None:
        """Press a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, modifiers=modifiers, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, modifiers=modifiers)

    def click(self, x: float, y: float) -> None:
        """Press the mouse at a place of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of pages."""
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()
