"""The file of PoseTrack2018's form, whatever is annotated in it: frames, people, names of joints.

Letters: N joints of a person.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import numpy.typing as npt

from posetrack_app.errors import OutputError
from posetrack_app.formats.saving import partial_of

__all__ = ["CATEGORY", "JOINTS", "AnnotationWriter", "enlarged_box", "first_id"]

JOINTS = (
    "nose", "head_bottom", "head_top", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
"""The 17 names of the official files, in their order. Their ground truth has no ears, and nobody evaluates them."""

CATEGORY = {
    "supercategory": "person",
    "id": 1,
    "name": "person",
    "keypoints": JOINTS,
    "skeleton": [
        (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9),
        (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
    ],
}  # fmt: skip
"""What the official files say of their joints."""

_OFFICIAL_NAME = re.compile(r"(\d{1,6})_(mpii|bonn|mpiinew)(_|$)")
_SERIES = {"mpii": 1, "bonn": 2, "mpiinew": 3}


def first_id(video: str) -> int:
    """Number of frame 0 of a video: 0 but where its folder has an official name.

    Official numbers tell the series, the video and the frame.

    >>> first_id("003418_mpii_test")
    10034180000
    """
    named = _OFFICIAL_NAME.match(video)
    return _SERIES[named[2]] * 10**10 + int(named[1]) * 10**4 if named else 0


class AnnotationWriter:
    """Writes frames and annotations as they come; the file gets its final name when it is complete.

    Annotations go straight into the partial file, images into an unnamed file beside it until the end, so memory
    does not grow with the length of the video.
    """

    def __init__(self, path: Path, *, video: str) -> None:
        """Start the file of a video; `video` is the name of its folder of frames."""
        self._path = path
        self._partial = partial_of(path)
        self._video = video
        named = _OFFICIAL_NAME.match(video)
        self._video_id = named[1].zfill(6) if named else video
        self._first_id = first_id(video)
        self._number = -1
        self._frames = 0
        self._annotations = 0
        self._encode = msgspec.json.Encoder().encode
        try:
            self._file: IO[bytes] = self._partial.open("wb")
            self._file.write(b'{"annotations":[')
            self._images: IO[bytes] = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115  # lives as long as this
        except OSError as error:
            raise self._failure(error) from None

    def add(self, index: int, name: str | None, annotations: Sequence[dict[str, Any]]) -> None:
        """One frame: its index, its file's name where it has one, and people without ids of their own."""
        # Frames of a folder keep the numbers of their names, as official files do, as long as those rise.
        stem = Path(name).stem if name else ""
        named = int(stem) if stem.isascii() and stem.isdecimal() and len(stem) < 10 else index
        self._number = max(named, self._number + 1)
        image_id = self._first_id + self._number
        image = {
            "file_name": f"images/{self._video}/{name or f'{index:06d}.jpg'}",
            "id": image_id,
            "frame_id": image_id,
            "vid_id": self._video_id,
            "is_labeled": True,
        }
        try:
            self._images.write(self._encode(image) + b"\n")
            for annotation in annotations:
                self._file.write(b",\n" if self._annotations else b"\n")
                self._annotations += 1
                ids = {"id": self._annotations, "image_id": image_id, "category_id": 1}
                self._file.write(self._encode({**ids, **annotation}))
        except OSError as error:
            raise self._failure(error) from None
        self._frames += 1

    def close(self) -> None:
        """Complete the file under its final name."""
        self._finish()
        try:
            self._partial.replace(self._path)
        except OSError as error:
            raise self._failure(error) from None

    def abort(self) -> None:
        """Complete the file with what came so far, under its partial name."""
        self._finish()

    def _finish(self) -> None:
        if self._file.closed:
            return
        try:
            with self._file, self._images:
                self._file.write(b'\n],"images":[')
                self._images.seek(0)
                for number, line in enumerate(self._images):
                    self._file.write(b",\n" if number else b"\n")
                    self._file.write(line.rstrip()[:-1] + b',"nframes":%d}' % self._frames)
                self._file.write(b'\n],"categories":' + self._encode([CATEGORY]) + b"}\n")
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self._partial}: {error.strerror or error}")


def enlarged_box(xy: npt.NDArray[np.floating]) -> list[float]:
    """The box x, y, width, height of the official files: that of the joints (N, 2), 1.3 times as wide and high."""
    if not len(xy):
        return [0.0, 0.0, 0.0, 0.0]
    low, high = xy.min(axis=0), xy.max(axis=0)
    corner, size = (low + high) / 2 - 0.65 * (high - low), 1.3 * (high - low)
    return [round(float(value), 2) for value in (*corner, *size)]
