"""Labels for training, made by a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from posetrack_app.commands.options import (
    Device,
    DeviceOption,
    Precision,
    PrecisionOption,
    QuietOption,
    WeightsOption,
    frames_bar,
    refuse_existing,
    short_sides_of,
)
from posetrack_app.commands.stopping import stopping
from posetrack_app.errors import InputError, UsageError

if TYPE_CHECKING:
    from posetrack_app.estimator import PoseEstimator
    from posetrack_app.training.labelling import Labelled


def label(
    images: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="A folder of pictures, or a video.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The labels, as in labels.json.")],
    weights: WeightsOption = None,
    short_sides: Annotated[
        str, typer.Option(metavar="PIXELS,...", help="Short sides of what the network sees, as in 256,384.")
    ] = "256,384,512",
    mirror: Annotated[
        bool, typer.Option("--mirror/--no-mirror", help="Average with the mirrored picture: better, slower.")
    ] = True,
    sure_score: Annotated[float, typer.Option(min=0, max=1, help="People from this score on are labelled.")] = 0.3,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Where somebody of this score on may be, nothing is learned.")
    ] = 0.1,
    joint_score: Annotated[float, typer.Option(min=0, max=1, help="Joints from this score on are labelled.")] = 0.3,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Of a video, every Nth frame.")] = 15,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file where it is there.")] = False,
    quiet: QuietOption = False,
) -> int:
    """Label pictures with the network itself, at several sizes, and mark what is not sure: to train on them.

    Frames of a video are written into a folder beside the labels, which is the folder of the photos then. Broken off,
    it goes on by the same command.
    """
    sides = short_sides_of(short_sides)
    if min_score > sure_score:
        raise UsageError(f"--min-score is {min_score}: it must not be above --sure-score, {sure_score}")
    from posetrack_app.video.source import expand_inputs, is_picture

    if not images.exists():
        raise InputError(f"{images} is not there; name a folder of pictures, or a video")
    is_video = images.is_file() and not is_picture(images)
    frames = out.with_name(f"{out.stem}_images")
    from models import weights as weight_files
    from posetrack_app.journal import file_key
    from posetrack_app.training import labelling, unlabelled
    from posetrack_app.training.label_journal import LabelJournal, journal_of
    from posetrack_app.training.teacher import TeacherConfig

    kept = journal_of(out)
    if not kept.exists():
        refuse_existing([out, frames] if is_video else [out], overwrite=overwrite)
    config = TeacherConfig(sure_score=sure_score, min_score=min_score, joint_score=joint_score)
    if is_video:
        photos = unlabelled.frames_as_pictures(expand_inputs([str(images)])[0], frames, every=every)
    else:
        photos = unlabelled.pictures_of(images)
    estimators = _estimators(weights, sides, mirror=mirror, device=device, precision=precision)
    key = {
        "pictures": str(images.resolve()),
        "every": every,
        "network": [file_key(weight_files.resolve(weights or "small")), device, precision],
        **labelling.described(estimators, config),
    }
    with (
        LabelJournal(kept, key, overwrite=overwrite) as journal,
        frames_bar(out.name, quiet=quiet, of="photos") as bar,
        stopping() as stop,
    ):
        bar.total, bar.n = photos.total, len(journal.names)
        done = labelling.label_photos(
            photos.read(journal.names),
            out,
            journal=journal,
            estimators=estimators,
            config=config,
            stop=stop,
            progress=bar.update,
        )
    for warning in photos.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if not quiet:
        print(_summary(done, out, photos.folder))
    return 130 if done.stopped else 0


def _estimators(
    weights: str | None, sides: list[int], *, mirror: bool, device: Device | None, precision: Precision | None
) -> list[PoseEstimator]:
    """The network at each size; it is in memory once."""
    from posetrack_app.engines import make_engine
    from posetrack_app.estimator import PoseEstimator

    name = weights or "small"
    engine = make_engine("auto", name, device=device or "auto", precision=precision or "auto")
    return [PoseEstimator(weights=name, engine=engine, short_side=side, mirror=mirror) for side in sides]


def _summary(done: Labelled, out: Path, folder: Path) -> str:
    from posetrack_app.formats.saving import partial_of

    where = partial_of(out) if done.stopped else out
    stopped = ", stopped before the end; the same command goes on" if done.stopped else ""
    return (
        f"{where}: {done.photos} {'photo' if done.photos == 1 else 'photos'} in {folder}{stopped}\n"
        f"  labelled people: {done.people}; their joints: {done.joints} sure, {done.uncertain} uncertain\n"
        f"  people who are not sure, left out of what is learned: {done.unsure}"
    )
