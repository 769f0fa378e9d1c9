"""Poses as CSV: the columns of the Parquet table, one row a joint, in pixels with (0, 0) a pixel's centre.

CSV has no place for the size of the picture, nor for frames without people: those between others come back, with
times between theirs, those after the last do not.

Letters: R rows, K joints.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from models.skeleton import SKELETONS, Skeleton
from posetrack_app.errors import InputError, OutputError
from posetrack_app.formats.assembly import MAX_FRAMES
from posetrack_app.formats.saving import saving
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.types import Origin, Poses

__all__ = ["COLUMNS", "convert", "read", "write"]

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

_RAW = ("raw_x", "raw_y")
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
    options = pa.csv.ConvertOptions(column_types=COLUMNS, include_columns=list(COLUMNS), null_values=[""])
    try:
        table = pa.csv.read_csv(path, convert_options=options)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, pa.ArrowException) as error:
        wrong = _wrong_cell(path) or str(error).splitlines()[0]
        raise InputError(f"{path} is no CSV of poses of ours: {wrong}") from None
    for name in COLUMNS:
        if table[name].null_count:
            row = int(np.flatnonzero(table[name].is_null().to_numpy())[0])
            raise InputError(f"{path}: row {row + 1} has no `{name}`")
    columns = {name: table[name].to_numpy() for name in COLUMNS}
    skeleton = _skeleton(columns["joint"], path)
    poses = _poses(columns, len(skeleton.joints), path)
    per_person = slice(None, None, len(skeleton.joints))
    frame, seconds = columns["frame"][per_person], columns["seconds"][per_person]
    for name, wrong in (("frame", (frame < 0) | (frame >= MAX_FRAMES)), ("seconds", ~np.isfinite(seconds))):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0]) * len(skeleton.joints)
            raise InputError(f"{path}: row {row + 1}: `{name}` {columns[name][row]} is out of range")
    order = np.argsort(frame, kind="stable")
    frame, seconds, poses = frame[order], seconds[order], poses[order]
    total = int(frame[-1]) + 1 if len(frame) else 0
    times = _times(frame, seconds, total, rate)
    edges = np.searchsorted(frame, np.arange(total + 1)).tolist()
    frames = [
        PosedFrame(index=index, seconds=float(times[index]), poses=poses[edges[index] : edges[index + 1]])
        for index in range(total)
    ]
    every = _every(frame, poses.origin)
    return PoseSequence(video=path.stem, skeleton=skeleton, width=0, height=0, frames=frames, every=every)


def _every(frame: npt.NDArray[np.int64], origin: npt.NDArray[np.uint8]) -> int:
    """Every so-manieth frame was seen by the network, as far as people (N,) tell: those in between are interpolated.

    Of the last frame nothing follows: the network always sees it. It also sees the first frame of a stretch, and those
    on both sides of a cut: a table with such frames is taken for one of which the network saw every frame.
    """
    if not (origin == Origin.INTERPOLATED).any():
        return 1
    seen = frame[(origin == Origin.OBSERVED) & (frame < frame[-1])]
    return max(1, int(np.gcd.reduce(seen))) if len(seen) else 1


def write(path: Path, sequence: PoseSequence) -> None:
    """Write the people of a video.

    Raises:
        OutputError: the file cannot be written.
    """
    schema = pa.schema(list(COLUMNS.items()))
    with saving(path) as partial, pa.csv.CSVWriter(partial, schema, write_options=_OPTIONS) as file:
        inhabited = (frame for frame in sequence.frames if len(frame.poses))
        while block := list(islice(inhabited, _FRAMES_A_BLOCK)):
            file.write_table(_rows(block, sequence.skeleton, schema))


def convert(path: Path, table: Path) -> None:
    """Write a Parquet table of ours: the columns of `COLUMNS`, and the places before smoothing where it has them.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        with saving(path) as partial, pq.ParquetFile(table) as source:
            kinds = COLUMNS | {name: pa.float32() for name in _RAW if name in source.schema_arrow.names}
            schema = pa.schema(list(kinds.items()))
            with pa.csv.CSVWriter(partial, schema, write_options=_OPTIONS) as file:
                for group in range(source.num_row_groups):
                    file.write_table(source.read_row_group(group, columns=list(kinds)).select(list(kinds)).cast(schema))
    except pa.ArrowException as error:
        raise OutputError(f"cannot write {path}: {str(error).splitlines()[0]}") from None


def _rows(frames: list[PosedFrame], skeleton: Skeleton, schema: pa.Schema) -> pa.Table:
    K, people = len(skeleton.joints), [frame.poses for frame in frames]
    rows = np.array([len(poses) * K for poses in people])
    xy = np.concatenate([poses.xy for poses in people]).reshape(-1, 2)
    origins = np.array([origin.name.lower() for origin in Origin])
    columns = [
        np.repeat(np.array([frame.index for frame in frames]), rows),
        np.repeat(np.array([frame.seconds for frame in frames]), rows),
        np.repeat(np.concatenate([poses.track_id for poses in people]), K),
        np.repeat(np.concatenate([poses.score for poses in people]), K),
        np.tile(np.array(skeleton.joints), int(rows.sum()) // K),
        xy[:, 0],
        xy[:, 1],
        np.concatenate([poses.joint_score for poses in people]).ravel(),
        np.repeat(origins[np.concatenate([poses.origin for poses in people])], K),
    ]
    return pa.Table.from_arrays([pa.array(column) for column in columns], schema=schema)


def _wrong_cell(path: Path) -> str | None:
    """The first cell that is no number where one is due; pyarrow tells its column alone."""
    columns = {name: kind for name, kind in COLUMNS.items() if kind != pa.string()}
    as_text = pa.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), include_columns=list(columns))
    try:
        table = pa.csv.read_csv(path, convert_options=as_text)
    except (OSError, pa.ArrowException):
        return None
    for name, kind in columns.items():
        convert = int if pa.types.is_integer(kind) else float
        for row, text in enumerate(table[name].to_pylist(), start=1):
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


def _poses(columns: dict[str, npt.NDArray[np.generic]], K: int, path: Path) -> Poses:
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
