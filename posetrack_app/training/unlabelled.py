"""Photos to be labelled: the pictures of a folder, or frames of a video, which are written as pictures."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2

from posetrack_app.errors import InputError, OutputError, some_of
from posetrack_app.formats.photos import read_photo
from posetrack_app.types import Frame
from posetrack_app.video import Source, VideoReader
from posetrack_app.video.source import is_picture, natural_order

__all__ = ["Unlabelled", "frames_as_pictures", "pictures_of"]

_QUALITY = 95
"""Of JPEG: what it loses is less than what the video lost."""


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Photos that can be read once."""

    folder: Path
    """Where they lie."""

    total: int | None
    """How many there are; None: nobody knows yet."""

    read: Callable[[Container[str]], Iterator[Frame]]
    """Their pixels, each named by its path below the folder; those whose names it is given are left out."""

    warnings: list[str] = field(default_factory=list)
    """What is wrong with them, a line each; complete when the last one was read."""


def pictures_of(path: Path) -> Unlabelled:
    """A picture, or those of a folder and of all folders in it that are not hidden, in the order of their names.

    Pixels come as they are stored, which is what labels count in, whatever EXIF says of up.

    Raises:
        InputError: there is none.
    """
    if path.is_dir():
        folder = path
        inside = [
            found
            for found in path.rglob("*")
            if is_picture(found) and not any(part.startswith(".") for part in found.relative_to(path).parts)
        ]
        files = sorted((found for found in inside if found.is_file()), key=natural_order)
        if not files:
            raise InputError(f"no pictures are in {path}; a video is labelled by its own name, as in {path}/clip.mp4")
    else:
        folder, files = path.parent, [path]
    warnings: list[str] = []
    return Unlabelled(folder, len(files), partial(_stored, files, folder, warnings), warnings)


def frames_as_pictures(source: Source, folder: Path, *, every: int) -> Unlabelled:
    """Every so many-th frame of a video, upright; as it is read it is written into the folder as JPEG.

    Raises:
        InputError: the video cannot be read.
        OutputError: while frames are read: a picture cannot be written.
    """
    reader = VideoReader(source)
    return Unlabelled(folder, None, partial(_written, reader, folder, source.name, every), reader.warnings)


def _stored(files: list[Path], folder: Path, warnings: list[str], done: Container[str]) -> Iterator[Frame]:
    skipped = []
    for number, path in enumerate(files):
        name = path.relative_to(folder).as_posix()
        if name in done:
            continue
        try:
            yield replace(read_photo(path), index=number, name=name)
        except InputError:
            skipped.append(name)
    if skipped:
        what = f"{len(skipped)} of {len(files)} pictures cannot be read and are left out"
        warnings.append(f"{what}: {some_of(skipped)}")


def _written(reader: VideoReader, folder: Path, name: str, every: int, done: Container[str]) -> Iterator[Frame]:
    with reader:
        for frame in reader:
            path = folder / f"{name}_{frame.index:06d}.jpg"
            if frame.index % every == 0 and path.name not in done:
                _write(frame, path)
                yield Frame(index=frame.index, pts=frame.pts, image=frame.image, name=path.name)


def _write(frame: Frame, path: Path) -> None:
    done, coded = cv2.imencode(".jpg", frame.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        height, width = frame.image.shape[:2]
        raise OutputError(f"cannot write {path}: JPEG has no pictures of {width}x{height}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(coded.tobytes())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
