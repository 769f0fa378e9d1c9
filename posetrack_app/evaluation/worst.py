"""The worst frames as pictures: what is annotated beside what was predicted, with the mistakes marked.

Letters: N persons, K joints, H W height and width.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from models.skeleton import POSETRACK15
from posetrack_app.errors import InputError
from posetrack_app.evaluation.annotated import JOINTS, FramePair, People, Protocol
from posetrack_app.evaluation.clear_mot import Record, follow
from posetrack_app.evaluation.posetrack import WorstFrame, read_pairs
from posetrack_app.formats.posetrack import LabelledFile
from posetrack_app.render.figures import Figures
from posetrack_app.render.labels import Labels
from posetrack_app.render.people import PeopleModel
from posetrack_app.types import Poses
from posetrack_app.video.coded import decode_picture

__all__ = ["Mistakes", "WorstPicture", "draw_worst", "find_picture", "mistakes"]

_LIMIT = 12  # frames
_LONG_SIDE = 640  # pixels
_QUALITY = 72  # of WebP
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}

_COLUMNS = [JOINTS.index("neck" if name == "head_bottom" else name) for name in POSETRACK15.joints]

# Red, green, blue; the colours of the report's bars.
_MISS, _FALSE, _SWITCH, _PAPER = (255, 176, 32), (77, 148, 255), (255, 64, 129), (12, 14, 18)

Picture = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

_SHAPES = {"cross": [[(-1, -1), (1, 1)], [(-1, 1), (1, -1)]], "diamond": [[(-1, 0), (0, -1), (1, 0), (0, 1), (-1, 0)]]}
"""Lines of the marks, in units of their reach."""


@dataclass(frozen=True, slots=True)
class WorstPicture:
    """One frame as two pictures."""

    frame: WorstFrame
    """Which."""

    truth: str
    """Data URI: the annotated people, missed joints ringed."""

    predicted: str
    """Data URI: the predicted people, false joints crossed, switches in diamonds."""

    width: int
    """Pixels of each."""

    height: int
    """Pixels of each."""


@dataclass(frozen=True, slots=True, eq=False)
class Mistakes:
    """Which joints of one frame went wrong."""

    missed: Bools
    """bool (N, 15), of the true people."""

    false: Bools
    """bool (N, 15), of the predicted people."""

    switched: Bools
    """bool (N, 15), of the predicted people."""


def draw_worst(
    worst: Sequence[WorstFrame], gt: Path, pred: Path, images: Path, *, protocol: Protocol, alone: bool
) -> tuple[list[WorstPicture], list[str]]:
    """The first few of the worst frames, in their order, and notes on those without a picture.

    Args:
        worst: worst first.
        gt: folder of the ground truth, which is read once more.
        pred: folder of the prediction.
        images: folder of the pictures.
        protocol: whose rules.
        alone: whether there is one sequence only, so that the folder may be that of its pictures.

    Raises:
        InputError: `images` is no folder.
    """
    if not images.is_dir():
        raise InputError(f"{images} is {'no folder' if images.exists() else 'not there'}; --images must be a folder")
    by_sequence: dict[str, list[WorstFrame]] = defaultdict(list)
    for frame in worst[:_LIMIT]:
        by_sequence[frame.sequence].append(frame)
    drawn: dict[WorstFrame, WorstPicture] = {}
    for sequence, frames in by_sequence.items():
        truth, _, pairs = read_pairs(gt / f"{sequence}.json", pred / f"{sequence}.json", protocol)
        record = follow(pairs, protocol=protocol)
        for frame in frames:
            row = _row(record, frame)
            path = find_picture(images, truth, frame, alone=alone)
            image = None if path is None else _read(path)
            if row is not None and image is not None:
                drawn[frame] = _picture(frame, image, record.frames[row], mistakes(record, row))
    missing = [frame for frame in worst[:_LIMIT] if frame not in drawn]
    notes = []
    if missing:
        few = "one of the worst frames has" if len(missing) == 1 else f"{len(missing)} of the worst frames have"
        notes.append(f"{few} no picture in {images}: {missing[0].frame}{' and others' if missing[1:] else ''}")
    return [drawn[frame] for frame in worst[:_LIMIT] if frame in drawn], notes


def find_picture(images: Path, truth: LabelledFile, frame: WorstFrame, *, alone: bool) -> Path | None:
    """Where the picture of a frame lies, or None.

    The file's name for it is looked for in `images`, without more and more of its folders, but never outside; then in
    the sequence's folder, or the only one that begins with its six digits. Where names differ and there are as many
    pictures as frames, their order tells.
    """
    parts = [part for part in PurePosixPath(frame.frame.replace("\\", "/")).parts if part.strip("/.")]
    parts = [part for part in parts if ":" not in part]  # a drive of Windows
    folders = [images / frame.sequence, *([images / parts[-2]] if len(parts) > 1 else []), *([images] if alone else [])]
    video = frame.sequence[:6]  # PoseTrack's number of the video
    numbered = [path for path in images.glob(f"{video}*") if path.is_dir()] if video.isdecimal() else []
    folders += numbered if len(numbered) == 1 else []
    named = [images.joinpath(*parts[start:]) for start in range(len(parts) - 1)]
    named += [folder / parts[-1] for folder in folders if parts]
    for path in named:
        if _is_file(path):
            return path
    names = [other.file_name for other in truth.frames]
    for folder in folders:
        files = sorted(path for path in _files(folder) if path.suffix.lower() in _SUFFIXES)
        if len(files) == len(names) and frame.frame in names:
            return files[names.index(frame.frame)]
    return None


def mistakes(record: Record, row: int) -> Mistakes:
    """Which joints of a frame of `record` went wrong."""
    pair, matches = record.frames[row], record.matches
    here = matches.frame == row
    joint = matches.joint[here]
    # (E, N): which person each match is of; an identity that is there twice is two people.
    true = record.truth_ids[matches.truth[here]][:, None] == pair.truth.track_id
    seen = record.predicted_ids[matches.predicted[here]][:, None] == pair.predicted.track_id
    return Mistakes(
        missed=pair.truth.found & ~_marked(true, joint),
        false=pair.predicted.found & ~_marked(seen, joint),
        switched=_marked(seen & record.switch[here][:, None], joint),
    )


def _marked(person: Bools, joint: npt.NDArray[np.int64]) -> Bools:
    """(N, 15) from (E, N) and (E,)."""
    marked = np.zeros((person.shape[1], len(JOINTS)), dtype=np.bool_)
    entry, who = person.nonzero()
    marked[who, joint[entry]] = True
    return marked


def _row(record: Record, frame: WorstFrame) -> int | None:
    """Which of the record's frames is meant: names may be there twice, then the counts tell."""
    counts = record.counts
    for row, pair in enumerate(record.frames):
        wrong = tuple(int(of[row].sum()) for of in (counts.misses, counts.false_positives, counts.switches))
        if pair.name == frame.frame and wrong == (frame.misses, frame.false_positives, frame.switches):
            return row
    return None


def _files(folder: Path) -> Iterable[Path]:
    try:
        return list(folder.iterdir())
    except (OSError, ValueError):
        return []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or no name at all
        return False


def _read(path: Path) -> Picture | None:
    try:
        return decode_picture(path.read_bytes())
    except OSError:
        return None


def _picture(frame: WorstFrame, image: Picture, pair: FramePair, wrong: Mistakes) -> WorstPicture:
    """Both sides of a frame, reduced first so that lines stay sharp."""
    height, width = image.shape[:2]
    scale = min(1.0, _LONG_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    truth, predicted = small.copy(), small.copy()
    places = _draw(truth, pair.truth, scale)
    _mark(truth, places[wrong.missed], "ring", _MISS)
    places = _draw(predicted, pair.predicted, scale)
    _mark(predicted, places[wrong.false], "cross", _FALSE)
    _mark(predicted, places[wrong.switched], "diamond", _SWITCH)
    return WorstPicture(frame, _data_uri(truth), _data_uri(predicted), *size)


def _draw(image: Picture, people: People, scale: float) -> npt.NDArray[np.float64]:
    """Draw everybody onto the picture, and tell where their joints lie in it: float64 (N, 15, 2)."""
    places = np.asarray((people.xy + 0.5) * scale - 0.5)
    height, width = image.shape[:2]
    found = people.found[:, _COLUMNS]
    poses = Poses.untracked(xy=places[:, _COLUMNS], joint_score=found, score=found.any(axis=1))
    measured = PeopleModel(POSETRACK15, min_joint_score=0.1).measure(
        poses.with_tracks(people.track_id), width=width, height=height
    )
    figures = Figures(POSETRACK15, by_side=False, line_width=1.0)
    figures.strokes(measured, short_side=min(height, width)).paint(image)
    # People of no size have labels without a score: ground truth has none.
    Labels().draw(image, replace(measured, scale=np.zeros(len(measured))), corner=False)
    return places


def _mark(
    image: Picture,
    places: npt.NDArray[np.float64],
    shape: Literal["ring", "cross", "diamond"],
    colour: tuple[int, int, int],
) -> None:
    """Mark places (N, 2) on the picture, each with a dark rim."""
    reach = max(4, round(0.012 * max(image.shape[:2])))
    limits = np.array(image.shape[1::-1], dtype=np.float64)
    for x, y in np.clip(places, -reach, limits + reach).round().astype(int).tolist():
        for ink, width in ((_PAPER, 4), (colour, 2)):
            if shape == "ring":
                cv2.circle(image, (x, y), reach, ink, width, cv2.LINE_AA)
                continue
            corners = [(x - reach, y), (x, y - reach), (x + reach, y), (x, y + reach)]
            if shape == "cross":
                corners = [
                    (x - reach, y - reach),
                    (x + reach, y + reach),
                    (x - reach, y + reach),
                    (x + reach, y - reach),
                ]
                lines = [corners[:2], corners[2:]]
            else:
                lines = [[*corners, corners[0]]]
            cv2.polylines(image, [np.array(line, dtype=np.int32) for line in lines], False, ink, width, cv2.LINE_AA)


def _data_uri(image: Picture) -> str:
    _, data = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode("ascii")
