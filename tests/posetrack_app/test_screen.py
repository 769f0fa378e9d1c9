"""The picture in a browser: what a client of HTTP gets."""

from __future__ import annotations

import http.client
import socket
import threading
from urllib.parse import urlsplit

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from posetrack_app.screen import Screen


class Browser:
    """Reads a screen picture by picture."""

    def __init__(self, address: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=5)
        self.connection.request("GET", "/picture")
        self.answer = self.connection.getresponse()
        self.boundary = (self.answer.getheader("Content-Type") or "").partition("boundary=")[2]

    def picture(self) -> npt.NDArray[np.uint8] | None:
        """The next picture, BGR; None at the end."""
        line = self.answer.readline()
        if not line:
            return None
        assert line == f"--{self.boundary}\r\n".encode()
        head = http.client.parse_headers(self.answer)
        assert head["Content-Type"] == "image/jpeg"
        data = self.answer.read(int(head["Content-Length"]))
        assert self.answer.readline() == b"\r\n"
        image = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_COLOR)
        return np.asarray(image, dtype=np.uint8)


def flat(red: int, green: int, blue: int) -> npt.NDArray[np.uint8]:
    return np.full((24, 32, 3), (red, green, blue), dtype=np.uint8)


def test_every_browser_sees_the_newest_picture_and_the_end() -> None:
    with Screen() as screen:
        screen.show(flat(9, 9, 9))
        screen.show(flat(250, 120, 10))
        browsers = [Browser(screen.address), Browser(screen.address)]
        for browser in browsers:
            image = browser.picture()
            assert image is not None
            assert image.shape == (24, 32, 3)
            np.testing.assert_allclose(image.mean(axis=(0, 1)), (10, 120, 250), atol=3)
        screen.show(flat(0, 0, 200))
        for browser in browsers:
            image = browser.picture()
            assert image is not None
            np.testing.assert_allclose(image.mean(axis=(0, 1)), (200, 0, 0), atol=3)
    for browser in browsers:
        while browser.picture() is not None:
            pass
        browser.connection.close()
    with pytest.raises(OSError, match="refused"):
        Browser(screen.address)


def test_a_browser_that_came_early_waits_for_the_first_picture() -> None:
    with Screen() as screen:
        late = threading.Timer(0.2, screen.show, [flat(80, 80, 80)])
        late.start()
        browser = Browser(screen.address)
        assert browser.picture() is not None
        browser.connection.close()
        late.join()


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [("/", "localhost:9", 200), ("/", "127.0.0.1", 200), ("/", "evil.example", 403), ("/etc/passwd", "localhost", 404)],
)
def test_who_is_answered(path: str, host: str, status: int) -> None:
    with Screen() as screen:
        connection = http.client.HTTPConnection(urlsplit(screen.address).netloc, timeout=5)
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        assert answer.status == status
        assert (b'src="/picture"' in answer.read()) == (status == 200)
        connection.close()


def test_a_port_that_is_taken_gives_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Screen(port=port) as screen:
            assert urlsplit(screen.address).port not in (None, port)
    with Screen(port=port) as screen:
        assert urlsplit(screen.address).port == port
