"""The page of a run: its video, its poses, its doubts, in one HTML file that needs only the video beside it."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import jinja2
import msgspec
import numpy as np

from models.skeleton import Skeleton
from posetrack_app.errors import InputError
from posetrack_app.formats.labelled import decode, load
from posetrack_app.formats.parquet import read_sequence
from posetrack_app.formats.reading import refuse_other_runs
from posetrack_app.formats.sequence import PoseSequence
from posetrack_app.render.colours import track_colour
from posetrack_app.view.media import Media, look_at, shown_times
from posetrack_app.view.packing import LEVELS, TICKS, pack_poses, pack_times

__all__ = ["Page", "make_page"]

_SCRIPTS = ("data.js", "edits.js", "player.js", "stage.js", "timeline.js", "view.js")
_NEAR = 2
"""A video is shown unasked where it lies at most so many folders up from the page: farther paths tell of a machine."""
_COARSE_SECONDS = 2.0
"""Times of files that differ by less tell nothing: some disks and archives keep no finer ones."""
_SPARE_COLOURS = 48
"""Colours for identities that splitting gives."""


class _Doubt(msgspec.Struct, frozen=True):
    """One of `doubts.json`."""

    seconds: float
    frame: int
    kind: str
    tracks: list[int]
    why: str = ""
    confidence: float = 0.0


class _Doubts(msgspec.Struct, frozen=True):
    doubts: list[_Doubt]


class _Input(msgspec.Struct, frozen=True):
    location: str = ""
    kind: str = ""


class _Report(msgspec.Struct, frozen=True):
    """What is read of `run.json`."""

    input: _Input | str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What was made."""

    html: str
    """The page."""

    videos: list[str]
    """Names of the videos that it shows, relative to its folder: the first that loads is shown."""

    frames: int
    """Frames of the table."""

    people: int
    """Identities."""

    doubts: int
    """Marks to jump to."""

    notes: list[str]
    """What its user should know, a line each."""


def make_page(folder: Path, *, out: Path, video: Path | None = None) -> Page:
    """The page of the folder of a run or a retrack.

    Args:
        folder: Holds poses.parquet; tracked.mp4, run.json and doubts.json where they are there.
        out: Where the page will lie: it names the video relative to that.
        video: The video of the poses. Without it, the run's input where it is near, and tracked.mp4.

    Raises:
        InputError: the folder is not that of a run, something in it is not understood, or `video` is not the one
            that its poses were found in.
    """
    table = folder / "poses.parquet"
    if not table.is_file():
        refuse_other_runs(folder)
        raise InputError(f"{folder} is not the folder of a run: it has no poses.parquet")
    sequence = read_sequence(table)
    packed = pack_poses(sequence)
    media, notes = _media(sequence, folder, out=out, video=video)
    if (folder / "retrack.json").is_file() and _is_older(table, folder.parent / table.name):
        notes.append(f"these poses are older than the run beside them: retrack {folder.parent} again")
    doubts = _doubts(folder / "doubts.json", sequence)
    tracks = [track for track in packed.tracks if track >= 0]
    spare = range(max(tracks, default=-1) + 1, max(tracks, default=-1) + 1 + _SPARE_COLOURS)
    content = {
        "width": packed.size[0],
        "height": packed.size[1],
        "step": packed.step,
        "ticks": TICKS,
        "levels": LEVELS,
        "frames": packed.frames,
        "tracks": packed.tracks,
        "colours": {str(track): _hex(track) for track in (-1, *tracks, *spare)},
        "skeleton": _skeleton(sequence.skeleton),
        "doubts": doubts,
        "cuts": [place for place, frame in enumerate(sequence.frames) if frame.cut],
        "media": media,
        "command": f"python -m posetrack_app retrack {shlex.quote(folder.name or '.')} --keep-tracks --edits edits.txt",
        "poses": packed.text,
    }
    html = _environment().get_template("view.html.j2").render(
        name=sequence.video or folder.resolve().name,
        content=content,
        scripts=_SCRIPTS,
        frames=packed.frames,
        people=len(tracks),
        size=packed.size,
        seconds=sequence.frames[-1].seconds - sequence.frames[0].seconds if sequence.frames else 0.0,
    )  # fmt: skip
    # A path need not be text; what cannot be written is shown by its number.
    html = html.encode("utf-8", "backslashreplace").decode("utf-8")
    return Page(html, [str(one["src"]) for one in media], packed.frames, len(tracks), len(doubts), notes)


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _hex(track: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*track_colour(track))


def _skeleton(skeleton: Skeleton) -> dict[str, object]:
    """Limbs, hips, and nose and shoulders where the skeleton has no neck of its own."""
    neck = ("nose", "left_shoulder", "right_shoulder")
    drawn = "head_bottom" not in skeleton.joints and all(name in skeleton.joints for name in neck)
    return {
        "joints": list(skeleton.joints),
        "limbs": [list(limb) for limb in skeleton.limbs],
        "hips": [skeleton.index(name) for name in ("left_hip", "right_hip") if name in skeleton.joints],
        "neck": [skeleton.index(name) for name in neck] if drawn else [],
    }


def _doubts(path: Path, sequence: PoseSequence) -> list[dict[str, object]]:
    """The doubts, at positions in the table."""
    if not path.is_file():
        return []
    found = decode(load(path), _Doubts, path=path, form="a list of doubts").doubts
    index = np.array([frame.index for frame in sequence.frames], dtype=np.int64)
    if not len(index):
        return []
    return [
        {
            "frame": min(int(np.searchsorted(index, doubt.frame)), len(index) - 1),
            "kind": doubt.kind,
            "tracks": doubt.tracks,
            "why": doubt.why,
            "confidence": doubt.confidence,
        }
        for doubt in sorted(found, key=lambda doubt: doubt.frame)
    ]


def _media(
    sequence: PoseSequence, folder: Path, *, out: Path, video: Path | None
) -> tuple[list[dict[str, object]], list[str]]:
    """The videos to try, the best first, and notes."""
    seconds = np.array([frame.seconds for frame in sequence.frames], dtype=np.float64)
    index = np.array([frame.index for frame in sequence.frames], dtype=np.int64)
    found: list[tuple[Media, bool]] = []
    notes = []
    source = _source(folder)
    if video is not None:
        media = look_at(video)
        if wrong := _mismatch(media, sequence):
            raise InputError(f"{wrong}; --video must name the video that they were found in")
        found.append((media, video.name == "tracked.mp4"))
        if not media.plays:
            notes.append(f"most browsers do not play {video.name} ({media.codec})")
    elif source is not None and _playable(source):
        if len(_link(source, out)[1]) <= _NEAR:
            media = look_at(source)
            if wrong := _mismatch(media, sequence):
                notes.append(f"{wrong}: it is not shown")
            else:
                found.append((media, False))
        else:
            notes.append(f"the video without skeletons is at {source}; --video shows it instead of tracked.mp4")
    drawn = next((path for path in _drawn(folder) if path.is_file()), None)
    if drawn is not None and (video is None or not drawn.samefile(video)):
        found.append((look_at(drawn), True))
        if _is_older(drawn, drawn.with_name("poses.parquet")):
            notes.append(f"{drawn.name} is older than the poses beside it: it may show other people")
    if not found:
        notes.append("there is no video: poses are shown on black")
    result: list[dict[str, object]] = []
    for media, burnt in found:
        shown = shown_times(media, seconds, index=index if sequence.is_stretch else None)
        if not shown.sure:
            notes.append(
                f"{media.path.name} has {len(media.times)} frames, the poses are of {len(seconds)}: matched by time"
            )
        label = "skeletons drawn in" if burnt else "original"
        result.append(
            {
                "src": _link(media.path, out)[0],
                "burnt": burnt,
                "label": label,
                "times": pack_times(shown.seconds),
                "around": shown.around,
            }
        )
    return result, notes


def _mismatch(media: Media, sequence: PoseSequence) -> str:
    """Why the poses cannot be of a video, empty where they can: one made smaller has the same frames."""
    (w, h), width, height = media.size, sequence.width, sequence.height
    if not (w and h and width and height):
        return ""
    # Whether the file is shown turned is not known, nor whether its aspect is believed.
    wide = (round(w * media.aspect), h) if media.aspect >= 1 else (w, round(h / media.aspect))
    sizes = [(w, h), (h, w), wide, wide[::-1]]
    # Sides are rounded, also to even numbers.
    similar = any(abs(a * height - b * width) <= 2 * (width + height) for a, b in sizes)
    same = any(abs(a - width) <= 1 and abs(b - height) <= 1 for a, b in sizes)
    if same or (similar and len(media.times) == len(sequence.frames)):
        return ""
    return (
        f"{media.path} has {len(media.times)} frames of {w}x{h} pixels, "
        f"the poses are of {len(sequence.frames)} of {width}x{height}"
    )


def _is_older(path: Path, other: Path) -> bool:
    """Whether a file was written before another one, which may be missing."""
    try:
        return path.stat().st_mtime < other.stat().st_mtime - _COARSE_SECONDS
    except OSError:
        return False


def _drawn(folder: Path) -> list[Path]:
    """Where the video with skeletons may be: of a retrack also beside it, in the folder of the run."""
    return [folder / "tracked.mp4", *([folder.parent / "tracked.mp4"] if (folder / "retrack.json").is_file() else [])]


def _source(folder: Path) -> Path | None:
    """The video file that the run read, where it is still there."""
    for path in (folder / "run.json", folder.parent / "run.json"):
        if path.is_file():
            read = decode(load(path), _Report, path=path, form="the report of a run").input
            if isinstance(read, _Input) and read.kind == "video" and Path(read.location).is_file():
                return Path(read.location)
        if not (folder / "retrack.json").is_file():
            break
    return None


def _playable(path: Path) -> bool:
    try:
        return look_at(path).plays
    except InputError:
        return False


def _link(path: Path, out: Path) -> tuple[str, list[str]]:
    """The relative address of a file as seen from the page, and its steps upwards."""
    try:
        relative = Path(os.path.relpath(path.resolve(), out.resolve().parent))
    except ValueError:  # another drive
        return path.resolve().as_uri(), [".."] * 99
    # Without the dot, a name that begins with letters and a colon would be taken for a scheme.
    text = quote(relative.as_posix(), safe="/", errors="surrogateescape")
    return (text if text.startswith("../") else f"./{text}"), [part for part in relative.parts if part == ".."]
