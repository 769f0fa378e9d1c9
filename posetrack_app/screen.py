"""The picture of a run in a browser of this machine, while it is made: a page with Motion JPEG on a loopback port."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

import cv2
import numpy as np
import numpy.typing as npt

from posetrack_app.errors import OutputError

__all__ = ["Screen"]

_PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>posetrack_app</title>
<style>body { margin: 0; background: #111 } img { width: 100vw; height: 100vh; object-fit: contain }</style>
<img src="/picture" alt="the picture of the run"></html>
"""
_BOUNDARY = "picture"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_JPEG_QUALITY = 80
_QUIET_SECONDS = 1.0
"""How long a browser waits for a new picture before it gets the last one again: so those that left are noticed."""


class Screen:
    """Shows each browser the newest picture as fast as it takes it; pictures are coded only while somebody looks.

    A context manager; browsers see the last picture when it is left.
    """

    def __init__(self, *, port: int = 0) -> None:
        """Begin to serve.

        Args:
            port: Where; 0, or a port that is taken, gives a free one.

        Raises:
            OutputError: Nothing can be served on this machine.
        """
        self._news = threading.Condition()
        self._picture: npt.NDArray[np.uint8] | None = None
        self._number = 0
        self._closed = False
        screen = self

        class Handler(_Handler):
            def picture(self) -> None:
                screen._serve(self)

        try:
            self._server = _listen(port, Handler)
        except OSError as error:
            raise OutputError(f"cannot show the picture: {error.strerror or error}") from None
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        """What to open in a browser."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="screen", daemon=True)
        self._thread.start()

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def show(self, image: npt.NDArray[np.uint8]) -> None:
        """Take the next picture, uint8 (H, W, 3), RGB; it must not change afterwards."""
        with self._news:
            self._picture = image
            self._number += 1
            self._news.notify_all()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        """Send one browser the pictures, until it leaves or all is over."""
        sent, closed = 0, False
        while not closed:
            with self._news:
                if sent == self._number and not self._closed:
                    self._news.wait(_QUIET_SECONDS)
                picture, sent, closed = self._picture, self._number, self._closed
            if picture is None:
                continue
            bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
            data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1].tobytes()
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            handler.wfile.write(head.encode() + data + b"\r\n")


class _Handler(BaseHTTPRequestHandler):
    """The page, and the stream of pictures in it."""

    def picture(self) -> None:
        """Send the pictures."""

    def do_GET(self) -> None:
        """Answer a browser. A page of the internet whose name points here is no browser's own wish."""
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in _LOOPBACK:
            self.send_error(403)
        elif self.path == "/":
            self._head("text/html", {"Content-Length": str(len(_PAGE))})
            self.wfile.write(_PAGE)
        elif self.path == "/picture":
            self._head(f"multipart/x-mixed-replace; boundary={_BOUNDARY}", {"Connection": "close"})
            try:
                self.picture()
            except OSError:
                self.close_connection = True  # the browser left
        else:
            self.send_error(404)

    def _head(self, kind: str, more: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Cache-Control": "no-store", **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing of requests."""


def _listen(port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """A server on the port, or on a free one where that is taken."""
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)
