"""Poses as CSV: the columns of the Parquet table, one row a joint, in pixels with (0, 0) a pixel's centre.

CSV has no place for the size of the picture, nor for frames without people: those between others come back, with
times between theirs, those after the last do not. That the film is cut is told by the people behind the cut.

Letters: N persons of all frames, K joints.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from models.skeleton import SKELETONS, Skeleton
from posetrack_app.errors import InputError
from posetrack_app.formats.assembly import MAX_FRAMES
from posetrack_app.formats.saving import saving
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.types import Origin, Poses

__all__ = ["COLUMNS", "read", "write"]

COLUMNS = {
    "frame": pa.int64(),
    "seconds": pa.float64(),
    "track": pa.int64(),
    "person_score": pa.float32(),
    "joint": pa.string(),
    "x": pa.float32(),
    "y": pa.float32(),
    "score": pa.float32(),
    "origin": pa.string(),
}
"""Columns and their types; a file that is read may have others beside them."""

_OF_VIDEO = {"shot": pa.int64(), "every": pa.int64()}
"""Columns for `PosedFrame.cut` and `PoseSequence.every`, where they tell something: the frame that begins the shot, 0
for the first one, and a number that is the same in all rows."""

_RAW = {"raw_x": pa.float32(), "raw_y": pa.float32()}

_ORIGINS = {origin.name.lower(): int(origin) for origin in Origin}

# Positions and scores are below this, so that float32 has a number for them; NaN is refused by the same comparison.
_FAR = 1e7

_FRAMES_A_BLOCK = 1000
_OPTIONS = pa.csv.WriteOptions(quoting_style="none")  # names of joints and origins need no quotes


def read(path: Path, *, rate: float = 25.0) -> PoseSequence:
    """The people of a video. `rate` matters only where no two frames tell how far frames are apart.

    Raises:
        InputError: no such file, or not of this form; names the row and the column.
    """
    kinds = COLUMNS | _OF_VIDEO
    options = pa.csv.ConvertOptions(column_types=kinds, null_values=[""])
    try:
        table = pa.csv.read_csv(path, convert_options=options)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, pa.ArrowException) as error:
        reason = _wrong_cell(path) or str(error).splitlines()[0]
        raise InputError(f"{path} is no CSV of poses of ours: {reason}") from None
    given = dict(zip(table.column_names, table.columns, strict=True))
    for name in COLUMNS:
        if name not in given:
            raise InputError(f"{path} is no CSV of poses of ours: it lacks the column `{name}`")
    columns: dict[str, npt.NDArray[Any]] = {
        "shot": np.zeros(len(table), dtype=np.int64),
        "every": np.ones(len(table), dtype=np.int64),
    }
    for name in [name for name in kinds if name in given]:
        if given[name].null_count:
            row = int(np.flatnonzero(given[name].is_null().to_numpy())[0])
            raise InputError(f"{path}: row {row + 1} has no `{name}`")
        columns[name] = given[name].to_numpy()
    skeleton = _skeleton(columns["joint"], path)
    poses = _poses(columns, len(skeleton.joints), path)
    per_person = slice(None, None, len(skeleton.joints))
    frame, seconds, shot, every = (columns[name][per_person] for name in ("frame", "seconds", *_OF_VIDEO))
    for name, wrong in (
        ("frame", (frame < 0) | (frame >= MAX_FRAMES)),
        ("seconds", ~np.isfinite(seconds)),
        ("shot", (shot < 0) | (shot > frame)),
        ("every", every < 1),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0]) * len(skeleton.joints)
            raise InputError(f"{path}: row {row + 1}: `{name}` {columns[name][row]} is out of range")
    order = np.argsort(frame, kind="stable")
    frame, seconds, poses = frame[order], seconds[order], poses[order]
    total = int(frame[-1]) + 1 if len(frame) else 0
    times = _times(frame, seconds, total, rate)
    edges, cuts = np.searchsorted(frame, np.arange(total + 1)).tolist(), {*shot.tolist()} - {0}
    frames = [
        PosedFrame(index, float(times[index]), poses[edges[index] : edges[index + 1]], cut=index in cuts)
        for index in range(total)
    ]
    return PoseSequence(path.stem, skeleton, 0, 0, frames, every=int(every.max(initial=1)))


def write(path: Path, sequence: PoseSequence, *, raw_xy: npt.NDArray[np.float32] | None = None) -> None:
    """Write the people of a video.

    Args:
        path: The file.
        sequence: The people.
        raw_xy: (N, K, 2), their places before smoothing, NaN where there are none; None: of nobody.

    Raises:
        OutputError: the file cannot be written.
    """
    if raw_xy is not None and np.isnan(raw_xy).all():
        raw_xy = None
    cuts = np.array([frame.index for frame in sequence.frames if frame.cut], dtype=np.int64)
    told = {"shot": len(cuts) > 0, "every": sequence.every > 1} | dict.fromkeys(_RAW, raw_xy is not None)
    schema = pa.schema([(name, kind) for name, kind in (COLUMNS | _RAW | _OF_VIDEO).items() if told.get(name, True)])
    inhabited, start = (frame for frame in sequence.frames if len(frame.poses)), 0
    with saving(path) as partial, pa.csv.CSVWriter(partial, schema, write_options=_OPTIONS) as file:
        while block := list(islice(inhabited, _FRAMES_A_BLOCK)):
            columns = _columns(block, sequence.skeleton)
            columns["shot"] = np.append(0, cuts)[np.searchsorted(cuts, columns["frame"], side="right")]
            columns["every"] = np.full(len(columns["frame"]), sequence.every)
            if raw_xy is not None:
                stop = start + sum(len(frame.poses) for frame in block)
                columns["raw_x"], columns["raw_y"] = raw_xy[start:stop].reshape(-1, 2).T
                start = stop
            arrays = [pa.array(columns[name], from_pandas=True) for name in schema.names]  # NaN is an empty cell
            file.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _columns(frames: list[PosedFrame], skeleton: Skeleton) -> dict[str, npt.NDArray[Any]]:
    """The columns of `COLUMNS`, a row a joint."""
    K, people = len(skeleton.joints), [frame.poses for frame in frames]
    rows = np.array([len(poses) * K for poses in people])
    xy = np.concatenate([poses.xy for poses in people]).reshape(-1, 2)
    origins = np.array([origin.name.lower() for origin in Origin])
    return {
        "frame": np.repeat(np.array([frame.index for frame in frames]), rows),
        "seconds": np.repeat(np.array([frame.seconds for frame in frames]), rows),
        "track": np.repeat(np.concatenate([poses.track_id for poses in people]), K),
        "person_score": np.repeat(np.concatenate([poses.score for poses in people]), K),
        "joint": np.tile(np.array(skeleton.joints), int(rows.sum()) // K),
        "x": xy[:, 0],
        "y": xy[:, 1],
        "score": np.concatenate([poses.joint_score for poses in people]).ravel(),
        "origin": np.repeat(origins[np.concatenate([poses.origin for poses in people])], K),
    }


def _wrong_cell(path: Path) -> str | None:
    """The first cell that is no number where one is due; pyarrow tells its column alone."""
    columns = {name: kind for name, kind in (COLUMNS | _OF_VIDEO).items() if kind != pa.string()}
    as_text = pa.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()))
    try:
        table = pa.csv.read_csv(path, convert_options=as_text)
    except (OSError, pa.ArrowException):
        return None
    for name, values in zip(table.column_names, table.columns, strict=True):
        if name not in columns:
            continue
        convert = int if pa.types.is_integer(columns[name]) else float
        for row, text in enumerate(values.to_pylist(), start=1):
            try:
                convert(text)
            except ValueError:
                return f"row {row}: `{name}` is '{text}', it must be a{' whole' if convert is int else ''} number"
    return None


def _skeleton(joint: npt.NDArray[np.object_], path: Path) -> Skeleton:
    """The skeleton whose joints the rows name, over and over in its order."""
    if not len(joint):
        return SKELETONS["coco17"]
    for skeleton in SKELETONS.values():
        if joint[0] == skeleton.joints[0] and set(skeleton.joints) == set(joint):
            expected = np.resize(np.array(skeleton.joints, dtype=object), len(joint))
            wrong = np.flatnonzero(joint != expected)
            if len(wrong):
                row = int(wrong[0])
                raise InputError(f"{path}: row {row + 1}: `joint` is '{joint[row]}', '{expected[row]}' is due there")
            if len(joint) % len(skeleton.joints):
                raise InputError(f"{path}: the last person lacks joints: each has {len(skeleton.joints)} rows")
            return skeleton
    raise InputError(f"{path}: the names in `joint` are not those of {' or '.join(SKELETONS)}")


def _poses(columns: dict[str, npt.NDArray[Any]], K: int, path: Path) -> Poses:
    """All people of the file, in its order."""
    for name in ("x", "y", "score", "person_score"):
        values = columns[name].astype(np.float64)
        wrong = np.flatnonzero(~(np.abs(values) < _FAR))
        if len(wrong):
            raise InputError(f"{path}: row {int(wrong[0]) + 1}: `{name}` {values[wrong[0]]:g} is out of range")
    names = columns["origin"][::K].tolist()
    unknown = sorted({str(name) for name in names} - set(_ORIGINS))
    if unknown:
        raise InputError(f"{path}: `origin` '{unknown[0]}' is none of {', '.join(_ORIGINS)}")
    score = columns["score"].astype(np.float32).reshape(-1, K).clip(0, 1)
    xy = np.stack([columns["x"], columns["y"]], axis=1).astype(np.float32).reshape(-1, K, 2)
    return Poses(
        xy=np.where(score[..., None] > 0, xy, np.float32(0)),
        joint_score=score,
        score=columns["person_score"][::K].astype(np.float32).clip(0, 1),
        track_id=columns["track"][::K].astype(np.int64),
        origin=np.array([_ORIGINS[str(name)] for name in names], dtype=np.uint8),
    )


def _times(
    frame: npt.NDArray[np.int64], seconds: npt.NDArray[np.float64], total: int, rate: float
) -> npt.NDArray[np.float64]:
    """A time for each frame, (total,): that of its people, else on the line between or through its neighbours'."""
    if not total:
        return np.zeros(0)
    known, first = np.unique(frame, return_index=True)
    times = seconds[first]
    step = (times[-1] - times[0]) / (known[-1] - known[0]) if len(known) > 1 else 1 / rate
    index = np.arange(total)
    inside: npt.NDArray[np.float64] = np.interp(index, known, times)
    return np.where(index < known[0], times[0] - (known[0] - index) * step, inside)
