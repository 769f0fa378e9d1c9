"""PoseTrack's frame folders in, a submission out: estimate, follow, and write one file for each sequence.

A sequence is estimated as a whole before it is followed: the same steps then serve saved poses (`tune`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from models.skeleton import COCO17
from posetrack_app.config import OutputSettings, Settings
from posetrack_app.errors import InputError, OutputError, UserError
from posetrack_app.formats import annolist, parquet, posetrack2018
from posetrack_app.formats.annotations import first_id
from posetrack_app.formats.labelled import LabelledFrame
from posetrack_app.formats.posetrack import Form, read_labelled
from posetrack_app.formats.predicted import kept, legal_identities, predicted_frame, some_people
from posetrack_app.formats.sequence import PosedFrame, PoseSequence
from posetrack_app.formats.submission import LARGEST_ID, pack, truth_files
from posetrack_app.retrack import SavedPoses, retrack, table_of
from posetrack_app.types import Poses
from posetrack_app.video import Source, VideoReader, expand_inputs

if TYPE_CHECKING:
    from posetrack_app.estimator import PoseEstimator

__all__ = ["Report", "Target", "match_names", "predict", "submit", "targets_of", "write_predictions"]

Progress = Callable[[], None]
"""Called once for each picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A file that a submission must have."""

    name: str
    """Its name, without .json."""

    form: Form
    """Its form."""

    frames: list[LabelledFrame]
    """Its frames; only ids and names of them count here."""

    known_as: frozenset[str]
    """Names that the folder of its pictures may have."""


@dataclass(slots=True)
class Report:
    """What became of a submission."""

    sequences: int = 0
    """Files that were written."""

    frames: int = 0
    """Frames in them."""

    people: int = 0
    """People in all frames together."""

    failed: dict[str, str] = field(default_factory=dict)
    """By sequence: why there is no file."""

    warnings: list[str] = field(default_factory=list)
    """What a user should know."""


def submit(
    frames: Path,
    out: Path,
    *,
    settings: Settings,
    estimator: PoseEstimator,
    gt: Path | None = None,
    opened: Callable[[str, int], Progress] = lambda name, frames: lambda: None,
) -> Report:
    """Find and follow the people of each folder of pictures in `frames`, and write the zip.

    The files land in a folder beside the zip, and with them, for `tune`, what the network saw, without identities.
    Where a sequence fails the others are done nevertheless, but there is no zip.

    Args:
        frames: Folder with a folder of pictures for each sequence.
        out: The zip.
        settings: The whole tree of settings.
        estimator: The network, made from the same settings.
        gt: Folder of the ground truth or a file of it, which says what must be there; without, the folders do.
        opened: Called with the name of a sequence and its number of pictures; gives the function to call for each.

    Raises:
        UserError: there are no sequences, or a file cannot be written.
    """
    report = Report()
    jobs = _jobs(frames, gt, report)
    folder = out.with_suffix("")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    files = []
    for target, source in jobs:
        try:
            _places([path.name for path in source.files], target)  # fails now and not after the work
            progress = opened(target.name, len(source.files))
            sequence, warnings = _estimate(source, settings=settings, estimator=estimator, progress=progress)
            tracked = retrack(SavedPoses(sequence, table_of(sequence)), settings).sequence
            predicted = predict(tracked, target, settings.output)
        except UserError as error:
            report.failed[target.name] = str(error)
            continue
        report.warnings += [f"{target.name}: {warning}" for warning in warnings]
        parquet.write_sequence(folder / f"{target.name}.parquet", sequence)
        files.append(write_predictions(folder, target, predicted))
        report.frames += len(predicted)
        report.people += sum(len(frame) for frame in predicted)
    report.sequences = len(files)
    if not report.failed:
        pack(out, files)
    return report


def targets_of(gt: Path) -> list[Target]:
    """What a ground truth (a folder, or one file) asks for; of a file with several videos the first counts.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    targets = []
    for path in truth_files(gt).values():
        file = read_labelled(path)
        folders = [PurePosixPath(frame.file_name).parent.name for frame in file.frames]
        frames = [frame for frame, folder in zip(file.frames, folders, strict=True) if folder == folders[0]]
        targets.append(Target(path.stem, file.form, frames, frozenset([path.stem, *folders[:1]])))
    return targets


def match_names(targets: Sequence[Target], names: Sequence[str]) -> dict[str, str]:
    """Which of the names is that of each target, where there is one: by the whole name, else by its six digits."""
    matched = {}
    numbers = [target.name[:6] for target in targets]
    for target, number in zip(targets, numbers, strict=True):
        same = [name for name in names if name in target.known_as]
        if not same and numbers.count(number) == 1 and re.fullmatch(r"\d{6}", number):
            same = [name for name in names if name[:6] == number]
        if len(same) == 1:
            matched[target.name] = same[0]
    return matched


def predict(sequence: PoseSequence, target: Target, output: OutputSettings) -> list[LabelledFrame]:
    """The frames of a target with the people of a tracked sequence.

    Raises:
        InputError: pictures of the target's frames are missing.
    """
    nobody = Poses.empty(len(sequence.skeleton.joints))
    poses = [nobody for _ in target.frames]
    places = _places([frame.name or "" for frame in sequence.frames], target)
    for place, frame in zip(places, sequence.frames, strict=True):
        if place is not None:
            poses[place] = frame.poses
    frames = [
        kept(
            predicted_frame(
                people,
                sequence.skeleton,
                image_id=frame.image_id,
                file_name=frame.file_name,
                is_labelled=frame.is_labelled,
            ),
            output,
        )
        for people, frame in zip(poses, target.frames, strict=True)
    ]
    identities = legal_identities([frame.track_id for frame in frames], largest=LARGEST_ID)
    renamed = [replace(frame, track_id=ids) for frame, ids in zip(frames, identities, strict=True)]
    return [some_people(frame, frame.track_id >= 0) for frame in renamed]


def write_predictions(folder: Path, target: Target, frames: Sequence[LabelledFrame]) -> Path:
    """Write the file of a target, in its form and under its name."""
    path = folder / f"{target.name}.json"
    (annolist if target.form == "2017" else posetrack2018).write(path, frames)
    return path


def _jobs(frames: Path, gt: Path | None, report: Report) -> list[tuple[Target, Source]]:
    """Each target with its folder of pictures; what is missing on either side goes into the report."""
    sources = {source.name: source for source in _sources(frames)}
    if gt is None:
        return [(_target_of(source), source) for source in sources.values()]
    targets = targets_of(gt)
    matched = match_names(targets, list(sources))
    for target in targets:
        if target.name not in matched:
            report.failed[target.name] = f"{frames} has no folder of this name"
    beside = sorted(set(sources) - set(matched.values()))
    if beside:
        report.warnings.append(f"left out, without ground truth: {', '.join(beside)}")
    return [(target, sources[matched[target.name]]) for target in targets if target.name in matched]


def _sources(frames: Path) -> list[Source]:
    """The folders of pictures in a folder."""
    if not frames.is_dir():
        raise InputError(f"{frames} is {'no folder' if frames.exists() else 'not there'}; it must be a folder")
    folders = sorted(path for path in frames.iterdir() if path.is_dir() and not path.name.startswith("."))
    found = [source for folder in folders for source in expand_inputs([str(folder)]) if source.files]
    if not found:
        raise InputError(f"{frames} has no folders with pictures; it must have one for each sequence")
    return found


def _target_of(source: Source) -> Target:
    """The file of a folder without ground truth: names and numbers are those of folder and pictures."""
    first = first_id(source.name)
    numbers = [int(path.stem) if re.fullmatch(r"[0-9]{1,9}", path.stem) else -1 for path in source.files]
    if -1 in numbers or len(set(numbers)) < len(numbers):
        numbers = list(range(len(numbers)))
    nobody = Poses.empty(len(COCO17.joints))
    frames = [
        predicted_frame(nobody, COCO17, image_id=first + number, file_name=f"images/{source.name}/{path.name}")
        for number, path in zip(numbers, source.files, strict=True)
    ]
    return Target(source.name, "2018", frames, frozenset([source.name]))


def _estimate(
    source: Source, *, settings: Settings, estimator: PoseEstimator, progress: Progress
) -> tuple[PoseSequence, list[str]]:
    """Whom the network sees in each picture, and warnings.

    Where a picture cannot be read it sees nobody, and the tracker may still know where people are.
    """
    seen: dict[str | None, Poses] = {}
    batch = settings.network.batch or estimator.batch
    with VideoReader(source, queue_frames=settings.input.queue_frames, image_rate=settings.input.image_rate) as reader:
        stream = iter(reader)
        while together := list(islice(stream, batch)):
            for frame, poses in zip(together, estimator.estimate(together), strict=True):
                seen[frame.name] = poses
                progress()
    nobody = Poses.empty(len(estimator.skeleton.joints))
    frames = [
        PosedFrame(place, place / settings.input.image_rate, seen.get(path.name, nobody), path.name)
        for place, path in enumerate(source.files)
    ]
    sequence = PoseSequence(source.name, estimator.skeleton, reader.info.width, reader.info.height, frames)
    return sequence, reader.warnings


def _places(names: Sequence[str], target: Target) -> list[int | None]:
    """Which frame of the target each picture is: by name, else by number, else by order.

    Frames that the target does not have are None: they only help to follow people.
    """
    ours = [PurePosixPath(name).stem for name in names]
    theirs = [PurePosixPath(frame.file_name).stem for frame in target.frames]
    for key in (str, _number):
        place_of = {key(stem): place for place, stem in enumerate(theirs)}
        if len(place_of) == len(theirs) and set(place_of) <= set(map(key, ours)):
            return [place_of.get(key(stem)) for stem in ours]
    if len(ours) == len(theirs):
        return list(range(len(ours)))
    missing = [stem for stem in theirs if stem not in set(ours)]
    raise InputError(
        f"{len(ours)} pictures for {len(theirs)} frames of the ground truth, and names do not tell which is which: "
        f"the first missing is {missing[0]}"
    )


def _number(stem: str) -> str:
    """The stem of a name without the zeros before a number.

    >>> _number("00000012"), _number("frame")
    ('12', 'frame')
    """
    return stem.lstrip("0") or "0" if stem.isdecimal() else stem
