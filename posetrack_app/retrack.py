"""Identities once more, from saved poses and without the network: tracker, edits by hand, refinement, tables.

poses.parquet - Tracker - edits - refine - poses.parquet, poses.json, doubts.json, retrack.json
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.between import Between
from posetrack_app.config import Settings
from posetrack_app.doubts import write_doubts
from posetrack_app.edits import Edit, replay
from posetrack_app.errors import InputError, OutputError
from posetrack_app.formats.parquet import ParquetWriter, read_raw
from posetrack_app.formats.posetrack2018 import PoseTrack2018Writer
from posetrack_app.formats.reading import read_poses
from posetrack_app.formats.reading import table_of as parquet_of
from posetrack_app.formats.saving import saving
from posetrack_app.formats.sequence import PoseSequence
from posetrack_app.types import Poses
from trackers.doubts import Doubt, find_doubts
from trackers.refine import RefineConfig, refine
from trackers.smoothing import carries, usual_rate
from trackers.table import OBSERVED, TrackTable
from trackers.tracker import Tracker

__all__ = ["FILES", "Retracked", "SavedPoses", "read_saved", "retrack", "side_groups", "write_results"]

FILES = ("poses.parquet", "poses.json", "doubts.json", "retrack.json")
"""What is written."""


@dataclass(frozen=True, slots=True, eq=False)
class SavedPoses:
    """The poses of a video as they were saved."""

    sequence: PoseSequence
    """Every frame with its people."""

    table: TrackTable
    """The same as one table, with the places before smoothing where there are any."""


@dataclass(frozen=True, slots=True, eq=False)
class Retracked:
    """What came of it."""

    sequence: PoseSequence
    """Every frame with its people and their new identities."""

    table: TrackTable
    """The same as one table."""

    steps: list[dict[str, Any]]
    """What was done, in order: name, parameters and counts of what changed."""

    warnings: list[str]
    """What its user should know, a line each."""


def read_saved(path: Path, *, rate: float = 25.0) -> SavedPoses:
    """Saved poses: the folder of a run, its table, or a file of another program.

    Args:
        path: File or folder.
        rate: Frames a second, for forms that have no times.

    Raises:
        InputError: not there, or not understood.
    """
    sequence = read_poses(path, rate=rate)
    table = table_of(sequence)
    source = parquet_of(path)
    if source is not None:
        raw = read_raw(source)
        if len(raw) == len(table):
            table = replace(table, raw_xy=raw)
    return SavedPoses(sequence, table)


def table_of(sequence: PoseSequence) -> TrackTable:
    """All poses of a sequence; nothing of them is smoothed."""
    times = np.array([frame.seconds for frame in sequence.frames], dtype=np.float64)
    table = _joined(times, [frame.poses for frame in sequence.frames] or [Poses.empty(len(sequence.skeleton.joints))])
    return replace(table, cuts=np.flatnonzero([frame.cut for frame in sequence.frames]))


def sequence_of(table: TrackTable, like: PoseSequence) -> PoseSequence:
    """The frames of a table, with the names and numbers that they have in another sequence."""
    frames = [
        replace(
            frame,
            poses=Poses(
                xy=table.xy[rows],
                joint_score=table.joint_score[rows],
                score=table.score[rows],
                track_id=table.track_id[rows],
                origin=table.origin[rows],
                appearance=table.appearance[rows] if table.appearance.shape[1] else None,
            ),
        )
        for frame, rows in zip(like.frames, _slices(table), strict=True)
    ]
    return replace(like, frames=frames)


def retrack(
    saved: SavedPoses,
    settings: Settings,
    *,
    keep_tracks: bool = False,
    edits: Sequence[Edit] = (),
    edits_name: str = "edits",
) -> Retracked:
    """Give identities, correct them by hand, refine them.

    Args:
        saved: Poses with or without identities. The tracker sees what was observed, before any smoothing.
        settings: `tracker` and `refine` count.
        keep_tracks: Take the identities that there are, with predicted and filled poses, instead of tracking.
        edits: Corrections, done after tracking.
        edits_name: File of the edits, for messages.

    Raises:
        InputError: an edit does not apply; times run backwards.
    """
    sequence, table = saved.sequence, saved.table
    _refuse_times(table)
    steps: list[dict[str, Any]] = []
    if keep_tracks:
        if settings.refine.smooth != "none":  # all steps see what was there before smoothing
            table = _unsmoothed(table)
        steps.append({"name": "keep_tracks", "parameters": {}, "changed": {"tracks": len(table.ids)}})
    else:
        observed = int((table.origin == OBSERVED).sum())
        table = _tracked(_unsmoothed(table), settings, sequence)
        gone = observed - int((table.origin == OBSERVED).sum())
        changed = {"tracks": len(table.ids), "duplicates": gone}
        steps.append({"name": "track", "parameters": asdict(settings.tracker), "changed": changed})
    if edits:
        table, done = replay(table, edits, name=edits_name)
        parameters = {"file": edits_name, "done": done}
        steps.append({"name": "edits", "parameters": parameters, "changed": {"edits": len(done)}})
    table, refined = refine(table, settings.refine, groups=side_groups(sequence.skeleton))
    steps += [step.as_dict() for step in refined]
    return Retracked(sequence_of(table, sequence), table, steps, _warnings(table, settings.refine))


def _warnings(table: TrackTable, config: RefineConfig) -> list[str]:
    """What was asked for and cannot be."""
    rate = usual_rate(table.times)
    if config.smooth not in ("butterworth", "savgol") or carries(rate, config.cutoff_hz):
        return []
    return [
        f"{config.smooth} with a cutoff of {config.cutoff_hz:g} Hz changes nothing at {rate:.4g} frames/s: "
        f"the cutoff must be below {rate / 2:.4g} Hz"
    ]


def side_groups(skeleton: Skeleton) -> list[list[tuple[int, int]]]:
    """Mirrored pairs that are exchanged together: arms, legs, and what is left (the face)."""
    parts = {"arms": ("shoulder", "elbow", "wrist"), "legs": ("hip", "knee", "ankle")}
    groups: dict[str, list[tuple[int, int]]] = {}
    for pair in skeleton.mirror_pairs:
        kind = skeleton.joints[pair[0]].rpartition("_")[2]
        group = next((name for name, kinds in parts.items() if kind in kinds), "face")
        groups.setdefault(group, []).append(pair)
    return list(groups.values())


def write_results(folder: Path, result: Retracked, *, report: dict[str, Any]) -> list[Doubt]:
    """Write `FILES` into a folder, made where it is missing; gives the doubts, where identities may still be wrong.

    Raises:
        OutputError: something cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    sequence, table = result.sequence, result.table
    smoothed = not bool(np.isnan(table.raw_xy).all())
    parquet = ParquetWriter(
        folder / "poses.parquet",
        skeleton=sequence.skeleton,
        video=sequence.video,
        width=sequence.width,
        height=sequence.height,
        raw=smoothed,
        appearance=table.appearance.shape[1],
        every=sequence.every,
        is_stretch=sequence.is_stretch,
        notes={"steps": json.dumps(result.steps)},
    )
    document = PoseTrack2018Writer(folder / "poses.json", video=sequence.video, skeleton=sequence.skeleton)
    try:
        for frame, rows in zip(sequence.frames, _slices(table), strict=True):
            raw_xy = table.raw_xy[rows] if smoothed else None
            parquet.add(frame.index, frame.seconds, frame.poses, frame.name, raw_xy=raw_xy, cut=frame.cut)
            document.add(frame.index, frame.name, frame.poses)
    except BaseException:
        parquet.abort()
        document.abort()
        raise
    parquet.close()
    document.close()
    index = np.array([frame.index for frame in sequence.frames], dtype=np.int64)
    doubts = find_doubts(table, index=index)
    write_doubts(folder / "doubts.json", doubts)
    content = {
        **report,
        "frames": len(sequence.frames),
        "people": len(table.ids),
        "poses": len(table),
        "steps": result.steps,
        "warnings": result.warnings,
    }
    with saving(folder / "retrack.json") as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return doubts


def _slices(table: TrackTable) -> Iterator[slice]:
    """The rows of each frame of the video."""
    edges = np.searchsorted(table.frame, np.arange(len(table.times) + 1)).tolist()
    return (slice(start, stop) for start, stop in pairwise(edges))


def _refuse_times(table: TrackTable) -> None:
    back = np.flatnonzero(np.diff(table.times) < 0)
    if len(back):
        at = int(back[0])
        raise InputError(
            f"frame {at + 1} is at {table.times[at + 1]:.3f} s, before the one in front of it at "
            f"{table.times[at]:.3f} s; times must not run backwards"
        )


def _unsmoothed(table: TrackTable) -> TrackTable:
    """With the places before smoothing."""
    xy = np.where(np.isnan(table.raw_xy), table.xy, table.raw_xy)
    return replace(table, xy=xy, raw_xy=np.full_like(xy, np.nan))


def _tracked(table: TrackTable, settings: Settings, sequence: PoseSequence) -> TrackTable:
    """The observed poses with the identities that the tracker gives them, and its predictions.

    As in a run, the tracker sees the frames that the network saw, and people in between are on straight lines.
    """
    table = table[table.origin == OBSERVED]
    tracker = Tracker(settings.tracker, sigmas=np.array(sequence.skeleton.sigmas), mirror=sequence.skeleton.mirror)
    people: Between[None] = Between()
    frames: list[Poses] = []
    cuts = set(table.cuts.tolist())
    seen_too = {0, len(table.times) - 1, *cuts, *(cut - 1 for cut in cuts)}  # first and last frames of shots
    for position, (seconds, rows) in enumerate(zip(table.times.tolist(), _slices(table), strict=True)):
        people.wait(position, seconds, None)
        nobody = rows.start == rows.stop  # who was observed is in a frame that the network saw
        if nobody and sequence.frames[position].index % sequence.every and position not in seen_too:
            continue
        done = tracker.update(
            index=position,
            seconds=seconds,
            xy=table.xy[rows],
            joint_score=table.joint_score[rows],
            score=table.score[rows],
            appearance=table.appearance[rows] if table.appearance.shape[1] else None,
            cut=position in cuts,
        )
        frames += [poses for _, poses in people.finished(done)]
    frames += [poses for _, poses in people.finished(tracker.flush())]
    return replace(_joined(table.times, frames), cuts=table.cuts) if frames else table


def _joined(times: npt.NDArray[np.float64], frames: Sequence[Poses]) -> TrackTable:
    """The poses of one or more frames, which are all there are and in order; nothing of them is smoothed."""
    known = [frame.appearance for frame in frames if frame.appearance is not None]
    size = max((looks.shape[1] for looks in known), default=0)
    xy = np.concatenate([frame.xy for frame in frames])
    return TrackTable(
        times=times,
        frame=np.repeat(np.arange(len(frames), dtype=np.int64), [len(frame.score) for frame in frames]),
        xy=xy,
        joint_score=np.concatenate([frame.joint_score for frame in frames]),
        score=np.concatenate([frame.score for frame in frames]),
        track_id=np.concatenate([frame.track_id for frame in frames]),
        origin=np.concatenate([frame.origin for frame in frames]),
        raw_xy=np.full_like(xy, np.nan),
        appearance=np.concatenate(
            [
                np.zeros((len(frame.score), size), dtype=np.uint8) if frame.appearance is None else frame.appearance
                for frame in frames
            ]
        ),
    )
