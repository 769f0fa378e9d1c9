"""Poses as a Parquet table: one row for each joint of each person in each frame.

Columns: frame, seconds, track, person_score, joint, x, y, score, origin. Frames without people have no rows;
the table's metadata tells how many frames there were (`frames`), their size and the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from models.skeleton import SKELETONS, Skeleton
from posetrack_app.errors import InputError, OutputError
from posetrack_app.types import Origin, Poses

__all__ = ["SCHEMA", "ParquetWriter", "read"]

SCHEMA = pa.schema(
    [
        ("frame", pa.int64()),
        ("seconds", pa.float64()),
        ("track", pa.int64()),
        ("person_score", pa.float32()),
        ("joint", pa.dictionary(pa.int8(), pa.string())),
        ("x", pa.float32()),
        ("y", pa.float32()),
        ("score", pa.float32()),
        ("origin", pa.dictionary(pa.int8(), pa.string())),
    ]
)
"""Types of the columns; x, y in pixels of the upright frame, (0, 0) the centre of its top left pixel."""

_ROWS_A_GROUP = 65_536
_ORIGINS = pa.array([origin.name.lower() for origin in Origin])


class ParquetWriter:
    """Writes poses as they come; the file gets its final name when it is complete.

    Memory is bounded by one row group of 65,536 rows.
    """

    def __init__(self, path: Path, *, skeleton: Skeleton, video: str, width: int, height: int) -> None:
        """Start the table of a video of `width` x `height` pixels."""
        self._path = path
        self._partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        self._skeleton = skeleton
        self._joints = pa.array(skeleton.joints)
        self._blocks: list[tuple[int, float, Poses]] = []
        self._rows = 0
        self._frames = 0
        self._metadata = {
            "skeleton": skeleton.name, "video": video, "width": str(width), "height": str(height),
        }  # fmt: skip
        try:
            self._writer = pq.ParquetWriter(self._partial, SCHEMA, compression="zstd")
        except OSError as error:
            raise OutputError(f"cannot write {self._partial}: {error.strerror or error}") from None

    def add(self, index: int, seconds: float, poses: Poses) -> None:
        """The people of one frame, possibly nobody."""
        self._frames += 1
        if len(poses):
            self._blocks.append((index, seconds, poses))
            self._rows += poses.joint_score.size
        if self._rows >= _ROWS_A_GROUP:
            self._flush()

    def close(self) -> None:
        """Complete the file under its final name."""
        self._finish()
        self._partial.replace(self._path)

    def abort(self) -> None:
        """Close the file so that it can be read, under its partial name."""
        self._finish()

    def _finish(self) -> None:
        if not self._writer.is_open:
            return
        self._flush()
        try:
            self._writer.add_key_value_metadata({**self._metadata, "frames": str(self._frames)})
            self._writer.close()
        except OSError as error:
            raise OutputError(f"cannot write {self._partial}: {error.strerror or error}") from None

    def _flush(self) -> None:
        if not self._blocks:
            return
        persons = np.array([len(poses) for _, _, poses in self._blocks])
        joints = len(self._skeleton.joints)
        people = [poses for _, _, poses in self._blocks]

        def per_row(per_person: npt.NDArray[np.generic]) -> pa.Array:
            return pa.array(np.repeat(per_person, joints))

        xy = np.concatenate([poses.xy for poses in people]).reshape(-1, 2)  # (R, 2), R = sum of N * K
        joint = np.tile(np.arange(joints, dtype=np.int8), persons.sum())
        origin = np.repeat(np.concatenate([poses.origin for poses in people]).astype(np.int8), joints)
        columns = [
            per_row(np.repeat(np.array([index for index, _, _ in self._blocks], dtype=np.int64), persons)),
            per_row(np.repeat(np.array([seconds for _, seconds, _ in self._blocks]), persons)),
            per_row(np.concatenate([poses.track_id for poses in people])),
            per_row(np.concatenate([poses.score for poses in people])),
            pa.DictionaryArray.from_arrays(joint, self._joints),
            pa.array(np.ascontiguousarray(xy[:, 0])),
            pa.array(np.ascontiguousarray(xy[:, 1])),
            pa.array(np.concatenate([poses.joint_score for poses in people]).reshape(-1)),
            pa.DictionaryArray.from_arrays(origin, _ORIGINS),
        ]
        try:
            self._writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
        except OSError as error:
            raise OutputError(f"cannot write {self._partial}: {error.strerror or error}") from None
        self._blocks.clear()
        self._rows = 0


def read(path: Path) -> Iterator[tuple[int, float, Poses]]:
    """Frames that have people, in order: (frame, seconds, poses). Row groups are read one at a time.

    Raises:
        InputError: no such file, no Parquet, or other columns than ours.
    """
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from None
    with file:
        missing = set(SCHEMA.names) - set(file.schema_arrow.names)
        name = (file.metadata.metadata or {}).get(b"skeleton", b"").decode()
        if missing or name not in SKELETONS:
            lacks = f"column '{min(missing)}'" if missing else "the name of its skeleton in its metadata"
            raise InputError(f"{path} is no table of poses of ours: it lacks {lacks}")
        skeleton = SKELETONS[name]
        for group in range(file.num_row_groups):
            yield from _frames(file.read_row_group(group), skeleton)


def _frames(table: pa.Table, skeleton: Skeleton) -> Iterator[tuple[int, float, Poses]]:
    """The frames of one row group; a frame never spans two groups."""
    joints = len(skeleton.joints)
    values = {name: table[name].to_numpy() for name in SCHEMA.names if name not in ("joint", "origin")}
    origins = np.array([Origin[str(text).upper()] for text in table["origin"].to_pylist()[::joints]], dtype=np.uint8)
    frame = values["frame"][::joints]  # (N of all frames,)
    edges = np.flatnonzero(np.diff(frame)) + 1
    for start, stop in zip([0, *edges], [*edges, len(frame)], strict=True):
        rows = slice(start * joints, stop * joints)
        xy = np.stack([values["x"][rows], values["y"][rows]], axis=-1)
        yield (
            int(frame[start]),
            float(values["seconds"][start * joints]),
            Poses(
                xy=xy.reshape(-1, joints, 2),
                joint_score=values["score"][rows].reshape(-1, joints),
                score=values["person_score"][rows][::joints],
                track_id=values["track"][rows][::joints],
                origin=origins[start:stop],
            ),
        )
