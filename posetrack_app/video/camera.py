"""Reading a camera of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain

import cv2
import numpy as np

from posetrack_app.errors import InputError
from posetrack_app.types import Frame
from posetrack_app.video.clock import Clock
from posetrack_app.video.coded import quiet_opencv
from posetrack_app.video.info import VideoInfo
from posetrack_app.video.source import Source
from posetrack_app.video.stretch import WHOLE, Stretch

__all__ = ["Camera"]


class Camera:
    """Frames of `camera:N`, timed by the wall clock, from 0. OpenCV knows the cameras of every system by number."""

    live = True
    in_bursts = False

    def __init__(self, source: Source) -> None:
        """Open the camera and take its first frame.

        Raises:
            InputError: No such camera, or it gives no picture.
        """
        number = source.location.partition(":")[2]
        if not number.isascii() or not number.isdigit():
            raise InputError(f"'{source.location}' names no camera: write camera:0 for the first one")
        self.warnings: list[str] = []
        with quiet_opencv():
            self._capture = cv2.VideoCapture(int(number))
        rate = self._capture.get(cv2.CAP_PROP_FPS) if self._capture.isOpened() else 0.0
        self._clock = Clock(step_seconds=1 / rate if rate > 0 else 0.04, may_break=False)
        self._started = time.monotonic()
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            self.close()
            raise InputError(
                f"{source.location} gives no picture: is it there, free and permitted? (camera:0 is the first)"
            )
        self._first = first
        self.info = VideoInfo(
            width=first.image.shape[1],
            height=first.image.shape[0],
            frames_expected=None,
            average_rate=Fraction(rate).limit_denominator(1001) if rate > 0 else None,
            has_audio=False,
            duration_seconds=None,
            codec="camera",
            pixel_format="unknown",
            orientation="upright",
        )

    def frames(self, stretch: Stretch = WHOLE, stopped: Callable[[], bool] = lambda: False) -> Iterator[Frame]:
        """Frames of a stretch, until the camera goes away."""
        return stretch.cut(chain([self._first], self._frames), stopped)

    def close(self) -> None:
        """Free the camera for others."""
        self._capture.release()

    def _decode(self) -> Iterator[Frame]:
        index = 0
        while self._capture.isOpened() and self._capture.grab():
            seconds = time.monotonic() - self._started
            there, image = self._capture.retrieve()
            if not there:
                break
            rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
            yield Frame(index=index, pts=self._clock.next(seconds), image=rgb)
            index += 1
        if index:
            self.warnings.append(f"the camera stopped after {index} frames")
