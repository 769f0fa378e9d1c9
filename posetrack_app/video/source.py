"""What the user named: videos, pictures, cameras and streams, found in paths, patterns and addresses."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

__all__ = ["Source", "expand_inputs", "is_address", "is_picture", "natural_order"]

_PICTURES = re.compile(r"jpe?g|jpe|png|webp|bmp|tiff?|jp2|avif|p[bgpn]m")
_VIDEOS = re.compile(
    r"mp4|m4v|mov|qt|mkv|webm|avi|divx|wmv|asf|flv|f4v|mp[ge]|mpeg|m[12]v|vob|ts|mts|m2ts|mxf|3gp|3g2|og[vg]|"
    r"gif|apng|mjpe?g|h?26[45]|avc|hevc|ivf|y4m|dv|rm|rmvb|insv|lrv"
)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_CAMERA = re.compile(r"camera:(.*)", re.IGNORECASE)
_DRAWN = ("tracked.mp4", "tracked.partial.mp4")
_TABLES = ("poses.parquet", "poses.partial.parquet", "run.json")
"""A video that a run drew, and what lies beside it."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # device names of Windows


@dataclass(frozen=True)
class Source:
    """One thing to read. That it exists does not mean that it can be opened: `VideoReader` finds out."""

    location: str
    """Path, folder of the pictures, `camera:N` or address, as the user gave it."""

    kind: Literal["video", "images", "camera", "stream"]
    """What it is read as. A path that is not there counts as a video."""

    name: str
    """A name for its results, safe as a folder: stem of the file, name of the folder, `camera0`, slug of an address."""

    files: tuple[Path, ...] = ()
    """Pictures of an "images" source, in number order; empty for all others and for a folder that holds none."""

    @property
    def shown(self) -> str:
        """The location as it may be told to others: an address without its password.

        >>> Source("rtsp://me:secret@10.0.0.7/live", "stream", "live").shown
        'rtsp://10.0.0.7/live'
        """
        return re.sub(r"//[^/@]*@", "//", self.location) if self.kind == "stream" else self.location


def expand_inputs(inputs: list[str]) -> list[Source]:
    """Everything that the arguments of a command line name, in their order.

    A path that exists is taken as such, whatever characters are in its name; then `camera:N`, then an address,
    then a pattern (`*`, `?`, `[...]`, `**`). Pictures of one folder that follow one another, or that one
    pattern finds there, are one sequence in number order. A folder gives its pictures as one sequence and
    each of its videos. Videos that runs drew are left out of patterns and folders, and taken where they are
    named. Nothing is raised here: what is missing or empty becomes a source that fails when it is opened, so
    that it does not stop the others.
    """
    found = [item for text in inputs for item in _expand(text)]
    sources: list[Source] = []
    for folder, items in groupby(found, key=_folder_of):
        together = list(items)
        sources += [item for item in together if isinstance(item, Source)]
        if folder is not None:
            sources.append(_sequence(folder, [item for item in together if isinstance(item, Path)]))
    return sources


def is_address(location: str) -> bool:
    """Whether it is written as an address, `scheme://...`.

    >>> is_address("rtsp://10.0.0.7/live"), is_address("colon:name.mp4"), is_address("C:/clip.mp4")
    (True, False, False)
    """
    return _ADDRESS.match(location) is not None


def is_picture(path: Path) -> bool:
    """Whether a file is named as a picture.

    >>> is_picture(Path("a/IMG_1.JPG")), is_picture(Path("a.mp4"))
    (True, False)
    """
    return _is(path, _PICTURES)


def natural_order(path: Path) -> tuple[list[str | int], list[str | int], str]:
    """A sort key under which numbers in names count as numbers, folder by folder.

    >>> [path.name for path in sorted(map(Path, ["10.png", "8.png", "9.png"]), key=natural_order)]
    ['8.png', '9.png', '10.png']
    """
    return _numbers(str(path.parent)), _numbers(path.name), path.name


def _numbers(text: str) -> list[str | int]:
    """Text and numbers by turns, so that keys of two names compare like with like."""
    parts = re.split(r"(\d+)", text.casefold())
    return [int(part) if at % 2 else part for at, part in enumerate(parts)]


def _folder_of(item: Source | Path) -> Path | None:
    """Folder of a picture that may belong to a sequence; None for what stands for itself."""
    return item.parent if isinstance(item, Path) else None


def _expand(text: str) -> Iterator[Source | Path]:
    """Sources of one argument; a picture comes as its path, since its neighbours may belong to it."""
    if os.path.exists(text):
        yield from _existing(Path(text), text)
    elif camera := _CAMERA.fullmatch(text):
        yield Source(location=text, kind="camera", name=_safe(f"camera{camera[1]}"))
    elif is_address(text):
        yield Source(location=text, kind="stream", name=_slug(text))
    elif glob.has_magic(text) and (matches := glob.glob(text, recursive=True)):
        for path in sorted((path for path in map(Path, matches) if not _is_drawn(path)), key=natural_order):
            yield from _existing(path, str(path))
    else:
        yield Source(location=text, kind="video", name=_safe(Path(text).stem))


def _existing(path: Path, text: str) -> Iterator[Source | Path]:
    """Sources of a file or folder that is there."""
    if path.is_dir():
        yield from _folder(path, text)
    elif is_picture(path):
        yield path
    else:
        yield Source(location=text, kind="video", name=_safe(path.stem))


def _folder(folder: Path, text: str) -> list[Source]:
    """The pictures of a folder as one sequence, and each of its videos."""
    try:
        inside = [path for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]
    except OSError:
        inside = []
    inside.sort(key=natural_order)
    pictures = tuple(path for path in inside if is_picture(path))
    drawn = [path for path in inside if _is_drawn(path)]
    videos = [path for path in inside if _is(path, _VIDEOS) and path not in drawn]
    found = [Source(location=str(path), kind="video", name=_safe(path.stem)) for path in videos]
    if pictures or not (found or drawn):
        found.insert(0, Source(location=text, kind="images", name=_safe(_name_of(folder)), files=pictures))
    return found


def _is_drawn(path: Path) -> bool:
    """Whether a run drew a video, as what lies beside it tells."""
    return path.name in _DRAWN and any((path.parent / name).exists() for name in _TABLES)


def _sequence(folder: Path, pictures: Iterable[Path]) -> Source:
    """Pictures of one folder as a source; a lone one has the name of its file."""
    files = tuple(sorted(set(pictures), key=natural_order))
    if len(files) == 1:
        return Source(location=str(files[0]), kind="images", name=_safe(files[0].stem), files=files)
    return Source(location=str(folder), kind="images", name=_safe(_name_of(folder)), files=files)


def _name_of(folder: Path) -> str:
    """As the user calls it, also where it is a link to a folder of another name; `.` and `..` are no names."""
    return folder.name if folder.name not in ("", "..") else folder.resolve().name


def _is(path: Path, kind: re.Pattern[str]) -> bool:
    return kind.fullmatch(path.suffix[1:].casefold()) is not None


def _slug(address: str) -> str:
    """Host and path of an address, without the user's name and password, which belong in no file name."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return _safe(address.partition("://")[2])
    path = parts.path.rstrip("/")
    if _is(Path(path), _VIDEOS):
        path = path.rpartition(".")[0]
    return _safe(re.sub(r"[^\w.]+", "-", host + path))


def _safe(name: str) -> str:
    """The name as a folder that every system accepts.

    >>> _safe("quote'and [brackets]*"), _safe("-dash"), _safe("a:b"), _safe("..")
    ("quote'and [brackets]_", 'dash', 'a_b', 'input')
    """
    clean = re.sub(r'[<>:"/\\|?*\x00-\x1f\x7f]', "_", name).lstrip(". -").rstrip(". ")
    clean = clean.encode("utf-8", "replace")[:120].decode("utf-8", "ignore").rstrip(". ")
    return f"_{clean}" if _RESERVED.fullmatch(clean) else clean or "input"
