"""Photos that a file of annotations names: where they lie, and their pixels as the annotations count them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import numpy.typing as npt

from posetrack_app.errors import InputError
from posetrack_app.types import Frame

__all__ = ["PhotoFinder", "read_photo", "stored_pixels"]


class PhotoFinder:
    """Where photos lie in a folder: at their whole names, or without the first folders of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Of the photos."""
        self._cut = 0

    def find(self, name: str) -> Path | None:
        """The path of a photo; None: it is not there."""
        parts = PurePosixPath(name.replace("\\", "/")).parts
        # What fitted the photo before fits this one most often, and looking costs time on a shared disk.
        for cut in dict.fromkeys([min(self._cut, len(parts) - 1), *range(len(parts))]):
            path = self.folder.joinpath(*parts[cut:])
            if path.is_file():
                self._cut = cut
                return path
        return None


def stored_pixels(path: Path) -> npt.NDArray[np.uint8] | None:
    """uint8 (H, W, 3), BGR, whatever EXIF says of up; None where the file is no picture.

    Raises:
        OSError: it cannot be read.
    """
    stored = np.fromfile(path, dtype=np.uint8)
    try:
        image = cv2.imdecode(stored, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if len(stored) else None
    except cv2.error:
        return None
    return None if image is None else image.astype(np.uint8, copy=False)


def read_photo(path: Path) -> Frame:
    """The pixels as they are stored, which is what COCO's annotations count in, whatever EXIF says of up.

    Raises:
        InputError: no picture.
    """
    try:
        image = stored_pixels(path)
    except OSError:
        image = None
    if image is None:
        raise InputError(f"photo {path} cannot be read as a picture")
    return Frame(index=0, pts=0.0, image=np.ascontiguousarray(image[..., ::-1]))
