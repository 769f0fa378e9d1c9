"""Reading a folder of pictures, a lone picture, or an animated one, as frames."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from posetrack_app.errors import InputError, some_of
from posetrack_app.types import Frame
from posetrack_app.video.coded import decode_picture
from posetrack_app.video.info import VideoInfo
from posetrack_app.video.source import Source
from posetrack_app.video.stretch import WHOLE, Stretch

__all__ = ["Pictures", "missing_numbers"]

_ANIMATED = re.compile(rb"acTL|ANIM")  # chunk of animated PNG, of animated WebP


class Pictures:
    """Decodes pictures one by one; damaged ones are skipped and named in `warnings`.

    OpenCV is used since it decodes JPEG and PNG in less time than FFmpeg or Pillow (4 ms for 720p JPEG
    against 6 and 30) and applies EXIF orientation itself.
    """

    live = False
    in_bursts = False

    def __init__(self, source: Source, *, rate: float) -> None:
        """Open the pictures of a source, shown at `rate` a second.

        Raises:
            InputError: There is none, or none can be decoded.
        """
        if not source.files:
            raise InputError(_nothing_in(source.location))
        self.warnings: list[str] = missing_numbers(source.files)
        self._files = source.files
        self._rate = rate
        self._skipped: list[str] = []
        self._count = 0
        moving = _animation(source.files[0]) if len(source.files) == 1 else None
        self._frames = self._decode() if moving is None else moving.frames()
        first = next(self._frames, None)
        if first is None:
            raise InputError(self._undecodable(source))
        self._first = first
        self.info = VideoInfo(
            width=first.image.shape[1],
            height=first.image.shape[0],
            frames_expected=len(source.files) if moving is None else moving.count,
            average_rate=Fraction(rate).limit_denominator(1001) if moving is None else None,
            has_audio=False,
            duration_seconds=len(source.files) / rate if moving is None else None,
            codec=source.files[0].suffix[1:].lower(),
            pixel_format="unknown",
            orientation="as its EXIF data says",
        )

    def frames(self, stretch: Stretch = WHOLE, stopped: Callable[[], bool] = lambda: False) -> Iterator[Frame]:
        """The frames of a stretch, once."""
        return stretch.cut(chain([self._first], self._frames), stopped)

    def close(self) -> None:
        """Nothing is open between frames."""

    def _decode(self) -> Iterator[Frame]:
        sizes: set[tuple[int, ...]] = set()
        for place, path in enumerate(self._files):
            image = self._picture(path)
            if image is None:
                continue
            sizes.add(image.shape)
            # A damaged picture keeps its place in time: the people went on walking.
            yield Frame(index=self._count, pts=place / self._rate, image=image, name=path.name)
            self._count += 1
        if len(sizes) > 1:
            self.warnings.append(f"the pictures have {len(sizes)} different sizes; each keeps its own")
        if self._skipped:
            self.warnings.append(
                f"{len(self._skipped)} of {len(self._files)} pictures could not be read and were skipped: "
                + some_of(self._skipped)
            )

    def _picture(self, path: Path) -> npt.NDArray[np.uint8] | None:
        """RGB of a file, or None, with a note, where it cannot be read."""
        try:
            image = decode_picture(path.read_bytes())
        except OSError as error:
            self._skipped.append(f"{path.name} ({error.strerror or error})")
            return None
        if image is None:
            self._skipped.append(path.name)
        return image

    def _undecodable(self, source: Source) -> str:
        if len(self._files) > 1:
            return f"none of the {len(self._files)} pictures in {source.location} can be read: {some_of(self._skipped)}"
        path = self._files[0]
        try:
            empty = path.stat().st_size == 0
        except OSError as error:
            return f"cannot read {path}: {error.strerror or error}"
        return f"cannot read {path}: the file is empty" if empty else f"{path} is not a picture, or it is damaged"


class _Animation:
    """Frames of an animated PNG or WebP, with the times that it gives them. FFmpeg does not read animated WebP."""

    def __init__(self, data: bytes, name: str) -> None:
        self._image = Image.open(io.BytesIO(data))
        self._name = name
        self.count: int = getattr(self._image, "n_frames", 1)

    def frames(self) -> Iterator[Frame]:
        seconds = 0.0
        for index in range(self.count):
            try:
                self._image.seek(index)
                rgb = np.array(self._image.convert("RGB"))
            except (OSError, SyntaxError, EOFError, Image.DecompressionBombError):
                return
            yield Frame(index=index, pts=seconds, image=rgb, name=self._name)
            # Browsers show a frame for 100 ms where nothing is said.
            seconds += (self._image.info.get("duration") or 100) / 1000


def _animation(path: Path) -> _Animation | None:
    """The animation in a file; None where it is a still picture, or none at all."""
    try:
        data = path.read_bytes()
        found = _Animation(data, path.name) if _ANIMATED.search(data[:4096]) else None
    except (OSError, SyntaxError, Image.DecompressionBombError):  # the first includes UnidentifiedImageError
        return None
    return found if found is not None and found.count > 1 else None


def missing_numbers(files: Sequence[Path]) -> list[str]:
    """A warning where the numbers of a sequence have gaps; the usual distance between them is no gap.

    >>> missing_numbers([Path("a_01.png"), Path("a_02.png"), Path("a_05.png")])
    ['numbers are missing among the pictures: 2 between a_02.png and a_05.png']
    """
    numbered = [(match, path) for path in files if (match := re.fullmatch(r"(.*?)(\d+)(\D*)", path.stem))]
    by_series = Counter((match[1], match[3]) for match, _ in numbered)
    if len(numbered) < len(files) or len(by_series) != 1:
        return []
    steps = [(int(b[0][2]) - int(a[0][2]), a[1].name, b[1].name) for a, b in pairwise(numbered)]
    usual = min((step for step, _, _ in steps if step > 0), default=1)
    gaps = [f"{step // usual - 1} between {a} and {b}" for step, a, b in steps if step >= 2 * usual]
    return [f"numbers are missing among the pictures: {some_of(gaps)}"] if gaps else []


def _nothing_in(location: str) -> str:
    folder = Path(location)
    try:
        inside = list(folder.iterdir())
    except OSError as error:
        return f"cannot read the folder {location}: {error.strerror or error}"
    if not inside:
        return f"the folder {location} is empty: it should hold pictures or videos"
    folders = sum(path.is_dir() for path in inside)
    hint = f"; name its {folders} folders one by one, or as '{location}/*'" if folders else ""
    return f"the folder {location} holds neither pictures nor videos{hint}"
