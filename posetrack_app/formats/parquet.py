"""Poses as a Parquet table: one row for each joint of each person in each frame.

Columns: frame, seconds, track, person_score, joint, x, y, score, origin. Tables of smoothed poses also have raw_x and
raw_y: the place before, null where nothing was seen. Tables of a run also have appearance: what a person looks like,
a byte a number, in the row of their first joint, null in the others. Frames without people have no rows; the table's
metadata tells the input, its size, how many frames there were (`frames`), when they are shown (`seconds`), of pictures
in a folder their `names`, `every` where the network saw every so-manieth frame only, `cuts` where there are shots
(indices of the frames that begin new ones), and `is_stretch` where the frames are those of a part of the video.
"""

from __future__ import annotations

import base64
import json
import zlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from models.skeleton import SKELETONS, Skeleton
from posetrack_app.errors import InputError, OutputError, some_of
from posetrack_app.formats.saving import partial_of
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.types import Origin, Poses

__all__ = ["SCHEMA", "ParquetWriter", "read", "read_raw", "read_sequence", "write_sequence"]

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

MERGED = "video"
"""Column that tables of many inputs have beside these: the folder of each."""

_RAW = [pa.field("raw_x", pa.float32()), pa.field("raw_y", pa.float32())]

_ROWS_A_GROUP = 65_536
_NUMBERS = ("frame", "seconds", "track", "person_score", "x", "y", "score")
_ORIGINS = pa.array([origin.name.lower() for origin in Origin])


class ParquetWriter:
    """Writes poses as they come; the file gets its final name when it is complete.

    Memory is bounded by one row group of 65,536 rows, and the time of each frame.
    """

    def __init__(
        self,
        path: Path,
        *,
        skeleton: Skeleton,
        video: str,
        width: int,
        height: int,
        raw: bool = False,
        appearance: int = 0,
        every: int = 1,
        is_stretch: bool = False,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Start the table of a video of `width` x `height` pixels.

        Args:
            path: The file.
            skeleton: The joints.
            video: Name of the video.
            width: Of the upright frame, pixels.
            height: Of the upright frame, pixels.
            raw: Whether it has places before smoothing, too.
            appearance: How many numbers tell what a person looks like; 0: the table has nothing of that.
            every: The network saw every so-manieth frame, and the first and last of each shot.
            is_stretch: The frames are those of a part of the video.
            notes: What is added to the table's metadata.
        """
        self._path = path
        self._partial = partial_of(path)
        self._skeleton = skeleton
        self._joints = pa.array(skeleton.joints)
        self._blocks: list[tuple[int, float, Poses]] = []
        self._with_raw, self._appearance = raw, appearance
        looks = [pa.field("appearance", pa.binary(appearance))] if appearance else []
        self._schema = pa.schema([*SCHEMA, *(_RAW if raw else []), *looks])
        self._raw: list[npt.NDArray[np.float32]] = []
        self._rows = 0
        self._index = array("q")
        self._cuts = array("q")
        self._seconds = array("d")
        self._names: list[str | None] = []
        self._metadata = {
            **(notes or {}),
            **({"every": str(every)} if every > 1 else {}),
            **({"is_stretch": "1"} if is_stretch else {}),
            "skeleton": skeleton.name, "video": video, "width": str(width), "height": str(height),
        }  # fmt: skip
        try:
            self._writer = pq.ParquetWriter(self._partial, self._schema, compression="zstd")
        except OSError as error:
            raise OutputError(f"cannot write {self._partial}: {error.strerror or error}") from None

    def add(
        self,
        index: int,
        seconds: float,
        poses: Poses,
        name: str | None = None,
        *,
        raw_xy: npt.NDArray[np.float32] | None = None,
        cut: bool = False,
    ) -> None:
        """The people of one frame, possibly nobody.

        Args:
            index: Number of the frame.
            seconds: When it is shown.
            poses: The people.
            name: File name of the picture, where it was one.
            raw_xy: As `poses.xy`, the places before smoothing, NaN where there is none; for tables with `raw` only.
            cut: It begins a new shot.
        """
        if cut:
            self._cuts.append(index)
        self._index.append(index)
        self._seconds.append(seconds)
        if name is not None or self._names:
            self._names += [None] * (len(self._index) - 1 - len(self._names)) + [name]
        if len(poses):
            self._blocks.append((index, seconds, poses))
            self._raw.append(np.full_like(poses.xy, np.nan) if raw_xy is None else raw_xy)
            self._rows += poses.joint_score.size
        if self._rows >= _ROWS_A_GROUP:
            self._flush()

    def close(self) -> None:
        """Complete the file under its final name."""
        self._finish()
        try:
            self._partial.replace(self._path)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror or error}") from None

    def abort(self) -> None:
        """Close the file so that it can be read, under its partial name."""
        self._finish()

    def _finish(self) -> None:
        if not self._writer.is_open:
            return
        self._flush()
        try:
            self._writer.add_key_value_metadata({**self._metadata, **self._every_frame()})
            self._writer.close()
        except OSError as error:
            raise OutputError(f"cannot write {self._partial}: {error.strerror or error}") from None

    def _every_frame(self) -> dict[str, str]:
        """What frames without people have as well."""
        values = {
            "frames": str(len(self._index)),
            "index": _packed(np.array(self._index, dtype=np.int64)),
            "seconds": _packed(np.array(self._seconds, dtype=np.float64)),
        }
        if self._names:
            values["names"] = json.dumps(self._names)
        if self._cuts:
            values["cuts"] = json.dumps(self._cuts.tolist())
        return values

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
        if self._with_raw:
            raw = np.concatenate(self._raw).reshape(-1, 2)
            columns += [pa.array(np.ascontiguousarray(axis), from_pandas=True) for axis in raw.T]
        if self._appearance:
            looks: list[bytes | None] = [None] * len(joint)
            looks[::joints] = [look for person in people for look in _looks(person)]
            columns.append(pa.array(looks, type=pa.binary(self._appearance)))
        try:
            self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        except OSError as error:
            raise OutputError(f"cannot write {self._partial}: {error.strerror or error}") from None
        self._blocks.clear()
        self._raw.clear()
        self._rows = 0


def _looks(poses: Poses) -> list[bytes | None]:
    """What each person looks like, None where that is not known."""
    if poses.appearance is None:
        return [None] * len(poses)
    return [look.tobytes() if look.any() else None for look in poses.appearance]


def _packed(values: npt.NDArray[np.int64 | np.float64]) -> str:
    """Numbers as text: little-endian, differences of bit patterns, deflated."""
    bits = np.diff(values.astype(values.dtype.newbyteorder("<")).view("<i8"), prepend=np.int64(0))
    return base64.b64encode(zlib.compress(bits.tobytes())).decode()


def _unpacked(text: bytes, dtype: type[np.int64 | np.float64]) -> npt.NDArray[np.int64 | np.float64]:
    bits = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<i8")
    return np.cumsum(bits, dtype=np.int64).view(dtype)


def read(path: Path) -> Iterator[tuple[int, float, Poses]]:
    """Frames that have people, in order: (frame, seconds, poses). Row groups are read one at a time.

    Raises:
        InputError: no such file, no Parquet, or other columns than ours.
    """
    with _opened(path) as file:
        skeleton = _skeleton_of(file, path)
        for group in range(file.num_row_groups):
            try:
                table = file.read_row_group(group)
            except (OSError, pa.ArrowInvalid) as error:
                raise InputError(f"{path} is damaged in row group {group}: {str(error).splitlines()[0]}") from None
            yield from _frames(table, skeleton)


def read_sequence(path: Path) -> PoseSequence:
    """Every frame of a table, also those without people.

    Raises:
        InputError: no such file, no Parquet, other columns than ours, or times that cannot be read.
    """
    with _opened(path) as file:
        skeleton, metadata = _skeleton_of(file, path), file.metadata.metadata
    try:
        index = _unpacked(metadata[b"index"], np.int64).tolist()
        seconds = _unpacked(metadata[b"seconds"], np.float64).tolist()
        names = json.loads(metadata.get(b"names", b"[]")) or [None] * len(index)
        width, height = int(metadata[b"width"]), int(metadata[b"height"])
        every = max(1, int(metadata.get(b"every", b"1")))
        cuts = set(json.loads(metadata.get(b"cuts", b"[]")))
        frames = {
            number: PosedFrame(number, time, Poses.empty(len(skeleton.joints)), name, number in cuts)
            for number, time, name in zip(index, seconds, names, strict=True)
        }
    except (KeyError, ValueError, zlib.error) as error:
        raise InputError(f"{path} does not tell its frames: broken, or written by another program ({error})") from None
    for number, time, poses in read(path):
        frames[number] = replace(frames.get(number, PosedFrame(number, time, poses)), seconds=time, poses=poses)
    return PoseSequence(
        video=metadata.get(b"video", b"").decode(),
        skeleton=skeleton,
        width=width,
        height=height,
        frames=[frames[number] for number in sorted(frames)],
        every=every,
        is_stretch=b"is_stretch" in metadata,
    )


def write_sequence(path: Path, sequence: PoseSequence) -> None:
    """Write every frame of a sequence.

    Raises:
        OutputError: it cannot be written.
    """
    writer = ParquetWriter(
        path,
        skeleton=sequence.skeleton,
        video=sequence.video,
        width=sequence.width,
        height=sequence.height,
        appearance=sequence.appearance_size,
        every=sequence.every,
        is_stretch=sequence.is_stretch,
    )
    for frame in sequence.frames:
        writer.add(frame.index, frame.seconds, frame.poses, frame.name, cut=frame.cut)
    writer.close()


def read_raw(path: Path) -> npt.NDArray[np.float32]:
    """The places before smoothing of all poses of a table in the order of `read`, (R, K, 2); NaN where there are none.

    Raises:
        InputError: as `read`.
    """
    with _opened(path) as file:
        joints = len(_skeleton_of(file, path).joints)
        names = [item.name for item in _RAW]
        if not set(names) <= set(file.schema_arrow.names):
            return np.full((file.metadata.num_rows // joints, joints, 2), np.nan, dtype=np.float32)
        table = file.read(names)
    raw = np.stack([table[name].to_numpy() for name in names], axis=-1)
    return raw.reshape(-1, joints, 2).astype(np.float32)


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from None


def _skeleton_of(file: pq.ParquetFile, path: Path) -> Skeleton:
    """The skeleton of a table that is one of ours."""
    missing = set(SCHEMA.names) - set(file.schema_arrow.names)
    name = (file.metadata.metadata or {}).get(b"skeleton", b"").decode()
    if not missing and not name and MERGED in file.schema_arrow.names:
        raise InputError(f"{path} has the poses of many inputs; name the folder of one of them: {_folders(file, path)}")
    if missing or name not in SKELETONS:
        lacks = f"column '{min(missing)}'" if missing else "the name of its skeleton in its metadata"
        raise InputError(f"{path} is no table of poses of ours: it lacks {lacks}")
    return SKELETONS[name]


def _folders(file: pq.ParquetFile, path: Path) -> str:
    """The folders of the runs that a merged table was made of."""
    inputs: dict[str, None] = {}
    for group in range(file.num_row_groups):
        inputs |= dict.fromkeys(file.read_row_group(group, [MERGED])[MERGED].unique().to_pylist())
    return some_of([str(path.parent / name) for name in inputs]) if inputs else "nobody is in any"


def _frames(table: pa.Table, skeleton: Skeleton) -> Iterator[tuple[int, float, Poses]]:
    """The frames of one row group; a frame never spans two groups."""
    joints = len(skeleton.joints)
    values = {name: table[name].to_numpy() for name in _NUMBERS}
    origins = np.array([Origin[str(text).upper()] for text in table["origin"].to_pylist()[::joints]], dtype=np.uint8)
    appearance = _appearance(table, joints)
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
                appearance=None if appearance is None else appearance[start:stop],
            ),
        )


def _appearance(table: pa.Table, joints: int) -> npt.NDArray[np.uint8] | None:
    """What each person looks like, (N of all frames, D), 0 where it is not known; None: the table has nothing of it."""
    place = table.schema.get_field_index("appearance")
    if place < 0 or not pa.types.is_fixed_size_binary(table.schema.field(place).type):
        return None
    size = table.schema.field(place).type.byte_width
    looks = table.column(place).take(pa.array(np.arange(0, len(table), joints))).to_pylist()
    return np.frombuffer(b"".join(look or bytes(size) for look in looks), dtype=np.uint8).reshape(-1, size)
