"""Saved poses of any form, told apart by what is in them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
import pyarrow as pa

from models.skeleton import COCO17, POSETRACK15
from posetrack_app.errors import InputError, some_of
from posetrack_app.formats import coco_results, csv_table, cvat, mmpose, openpose, parquet, ultralytics
from posetrack_app.formats.assembly import numbered
from posetrack_app.formats.labelled import LabelledFrame, decode, load
from posetrack_app.formats.posetrack import read_labelled
from posetrack_app.formats.saving import partial_of
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.types import Poses

__all__ = ["read_poses", "refuse_other_runs", "table_of"]

_KNOWN = "poses of PoseTrack, COCO, OpenPose, MMPose or Ultralytics"
_READ = f"our Parquet or CSV, JSON with {_KNOWN}, XML of CVAT"
_TABLE = "poses.parquet"
_JOURNAL = "seen.partial"

# How files of pictures begin: Matroska, AVI, Flash, MPEG, Ogg, PNG, JPEG, GIF, TIFF. MP4 has `ftyp` after its length.
_PICTURES = (
    b"\x1aE\xdf\xa3", b"RIFF", b"FLV", b"\x00\x00\x01", b"OggS",
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\x00", b"MM\x00*",
)  # fmt: skip


class _Probe(msgspec.Struct, frozen=True):
    """The fields by which objects of the forms are told apart, unread."""

    annolist: msgspec.Raw = msgspec.Raw()
    annotations: msgspec.Raw = msgspec.Raw()
    instance_info: msgspec.Raw = msgspec.Raw()
    people: msgspec.Raw = msgspec.Raw()
    image_id: msgspec.Raw = msgspec.Raw()
    frame_id: msgspec.Raw = msgspec.Raw()
    keypoint_scores: msgspec.Raw = msgspec.Raw()
    keypoints: msgspec.Raw = msgspec.Raw()
    box: msgspec.Raw = msgspec.Raw()

    def has(self, field: str) -> bool:
        """Whether the object has a field."""
        return bool(bytes(getattr(self, field)))


def read_poses(path: Path, *, rate: float = 25.0) -> PoseSequence:
    """The people of a video, from our own tables or from a file of another program.

    Understood: the Parquet table of a run, or the run's folder; the same table as CSV; PoseTrack2018 and 2017 JSON;
    COCO keypoint results, also AlphaPose's; tracks of skeletons from CVAT; MMPose's predictions and Ultralytics'
    results, in one JSON file or with a frame a line; a folder of OpenPose JSON, or of one file of MMPose or Ultralytics
    a frame.

    Args:
        path: file or folder.
        rate: frames a second, for forms that have no times.

    Raises:
        InputError: not there, or of no form that is known; names the file, the place and the field.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist")
    table = table_of(path)
    if table is not None:
        sequence = _table(table)
    elif path.is_dir():
        sequence = _folder(path, rate)
    else:
        sequence = _file(path, rate)
    _refuse_repeated(path, sequence)
    return sequence


def table_of(path: Path) -> Path | None:
    """The Parquet table at a path, a file or the folder of a run; None: it is something else."""
    path = path / _TABLE if path.is_dir() else path
    return path if path.exists() and _beginning(path).startswith(b"PAR1") else None


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(200)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def _table(path: Path) -> PoseSequence:
    try:
        return parquet.read_sequence(path)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise InputError(f"{path} is damaged, or written by another program: {reason}") from None


def _file(path: Path, rate: float) -> PoseSequence:
    start = _beginning(path)
    stream = start[:1] == start[188:189] == b"G"  # MPEG in packets of 188 bytes
    if stream or start[4:8] == b"ftyp" or start.startswith(_PICTURES):
        raise InputError(f"{path} is a video or a picture, not poses: `run {shlex.quote(str(path))}` finds its people")
    data = load(path).removeprefix(b"\xef\xbb\xbf")
    start = data[:1000].lstrip()
    if start.startswith(b"{"):
        return _object(path, data, rate)
    if start.startswith(b"["):
        return _list(path, data, rate)
    if start.startswith(b"<"):
        return cvat.read(path, rate=rate)
    header = start.partition(b"\n")[0].replace(b'"', b"").strip().split(b",")
    if any(name.encode() in header for name in csv_table.COLUMNS):
        return csv_table.read(path, rate=rate)
    raise InputError(f"{path} has no form that is read: {_READ}")


def _object(path: Path, data: bytes, rate: float) -> PoseSequence:
    try:
        probe = msgspec.json.decode(data, type=_Probe)
    except msgspec.DecodeError:
        lines = _lines(data)
        if lines is not None:
            return _list(path, lines, rate)
        probe = decode(data, _Probe, path=path, form=_KNOWN)
    if probe.has("instance_info"):
        return mmpose.parse_demo(data, path=path, rate=rate)
    if probe.has("annolist") or probe.has("annotations"):
        return _posetrack(path, rate)
    if probe.has("people"):
        return openpose.read_files(path.parent, [path], rate=rate)
    if probe.has("frame_id") or probe.has("image_id"):  # a file of lines that has one line
        return _list(path, b"[" + data + b"]", rate)
    raise InputError(f"{path} holds no {_KNOWN}: its fields are none of theirs")


def _list(path: Path, data: bytes, rate: float) -> PoseSequence:
    try:
        items = msgspec.json.decode(data, type=list[msgspec.Raw])
    except msgspec.DecodeError:
        data = _lines(data) or data
        items = decode(data, list[msgspec.Raw], path=path, form=_KNOWN)
    if not items:
        return PoseSequence(video=path.stem, skeleton=COCO17, width=0, height=0, frames=[])
    if bytes(items[0]).startswith(b"["):
        return _frames(path, data, rate)
    if not bytes(items[0]).startswith(b"{"):
        raise InputError(f"{path} holds no {_KNOWN}: `[0]` is neither a person nor a frame")
    probe = decode(items[0], _Probe, path=path, form=_KNOWN, within="[0]")
    if probe.has("frame_id"):
        return mmpose.parse_video(data, path=path, rate=rate)
    if probe.has("image_id"):
        return coco_results.parse(data, path=path, rate=rate)
    if probe.has("keypoint_scores") or probe.has("box"):
        return _pictures(path, [(path, data)], rate)
    raise InputError(f"{path} holds no {_KNOWN}: the fields of `[0]` are none of theirs")


def _folder(path: Path, rate: float) -> PoseSequence:
    """A file a frame: OpenPose's, or in the order of the numbers in their names."""
    files = sorted(path.glob(openpose.PATTERN))
    if files:
        return openpose.read_files(path, files, rate=rate)
    refuse_other_runs(path)
    files = sorted(path.glob("*.json"), key=lambda file: (numbered(file.stem) or 0, file.name))
    if not files:
        raise InputError(f"{path} holds neither {_TABLE} nor a JSON file for each frame")
    return _pictures(path, [(file, load(file)) for file in files], rate)


def refuse_other_runs(folder: Path) -> None:
    """Say what to do with a folder that has no table, but a run that is not finished, or the folders of runs.

    Raises:
        InputError: it is one of these.
    """
    if partial_of(folder / _TABLE).exists() or (folder / _JOURNAL).exists():
        raise InputError(f"{folder} has a run that is not finished: {_going_on(folder)}")
    runs = [str(table.parent) for table in sorted(folder.glob(f"*/{_TABLE}"))]
    if runs:
        raise InputError(f"{folder} has the folders of runs; name one of them: {some_of(runs)}")


def _going_on(folder: Path) -> str:
    """What can be done about a run that was broken off, or is not over."""
    table = partial_of(folder / _TABLE)
    try:
        frames = len(parquet.read_sequence(table).frames)
    except InputError:  # it was killed: a table that nobody closed tells nothing
        return "the same `run` command goes on with it"
    return f"the same `run` command goes on with it; {table} has its {frames} frames so far"


def _frames(path: Path, data: bytes, rate: float) -> PoseSequence:
    """A list of frames, each a list of people."""
    probes = decode(data, list[list[_Probe]], path=path, form=_KNOWN)
    if _of_mmpose(path, (person for frame in probes for person in frame)):
        ours = decode(data, list[list[mmpose.Instance]], path=path, form=mmpose.FORM)
        return mmpose.parse_frames([(f"[{n}]", frame) for n, frame in enumerate(ours)], path=path, rate=rate)
    found = decode(data, list[list[ultralytics.Detection]], path=path, form=ultralytics.FORM)
    return ultralytics.parse_frames([(f"[{n}]", frame) for n, frame in enumerate(found)], path=path, rate=rate)


def _pictures(path: Path, files: list[tuple[Path, bytes]], rate: float) -> PoseSequence:
    """Files of one frame each, a list of people."""
    places = [f"{file.name}: " if file != path else "" for file, _ in files]
    probes = [decode(data, list[_Probe], path=file, form=_KNOWN) for file, data in files]
    if _of_mmpose(path, (person for frame in probes for person in frame)):
        ours = [decode(data, list[mmpose.Instance], path=file, form=mmpose.FORM) for file, data in files]
        return mmpose.parse_frames(list(zip(places, ours, strict=True)), path=path, rate=rate)
    found = [decode(data, list[ultralytics.Detection], path=file, form=ultralytics.FORM) for file, data in files]
    return ultralytics.parse_frames(list(zip(places, found, strict=True)), path=path, rate=rate)


def _of_mmpose(path: Path, people: Iterator[_Probe]) -> bool:
    """Whether people are MMPose's; else they are taken for Ultralytics'."""
    person = next(people, None)
    if person is not None and person.has("box") and not person.has("keypoints"):
        raise InputError(f"{path} has boxes of people but no `keypoints`: a network for poses gives both")
    return person is not None and person.has("keypoint_scores")


def _posetrack(path: Path, rate: float) -> PoseSequence:
    labelled = read_labelled(path).frames
    frames = [
        PosedFrame(index=index, seconds=index / rate, poses=_poses(frame), name=PurePosixPath(frame.file_name).name)
        for index, frame in enumerate(labelled)
    ]
    folder = PurePosixPath(labelled[0].file_name).parent.name if labelled else ""
    return PoseSequence(video=folder or path.stem, skeleton=POSETRACK15, width=0, height=0, frames=frames)


def _poses(frame: LabelledFrame) -> Poses:
    """The people of a frame, with the file's scores of people where it has them."""
    poses = frame.poses()
    if frame.person_score is None:
        return poses
    score = np.where(np.isnan(frame.person_score), poses.score, frame.person_score.clip(0, 1))
    return replace(poses, score=score.astype(np.float32))


def _lines(data: bytes) -> bytes | None:
    """A file with one JSON value a line, as one list of them; None: it is no such file."""
    lines = [line for line in data.splitlines() if line.strip()]
    try:
        msgspec.json.decode(lines[0], type=msgspec.Raw)
    except msgspec.DecodeError:
        return None
    return b"[" + b",\n".join(lines) + b"]" if len(lines) > 1 else None


def _refuse_repeated(path: Path, sequence: PoseSequence) -> None:
    """An identity belongs to one person of a frame: everything after this stands on it."""
    for frame in sequence.frames:
        if len(frame.poses) < 2:
            continue
        tracks = [track for track in frame.poses.track_id.tolist() if track >= 0]
        if len(set(tracks)) < len(tracks):
            twice = next(track for track in tracks if tracks.count(track) > 1)
            raise InputError(f"{path}: frame {frame.index} has two people of track {twice}")
